package cli

import (
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/pkg/pipe"
)

// completions lets each command complete what its usage line asks for. It goes by the words of
// that line, so a new command completes its arguments without another word.
func (a *app) completions(c *cobra.Command) {
	for _, sub := range c.Commands() {
		a.completions(sub)
	}
	if !c.HasSubCommands() {
		c.ValidArgsFunction = a.argument
	}
}

// argument completes the next argument of a command.
func (a *app) argument(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(c.Use))[1:]
	if len(words) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	word, more := strings.CutSuffix(words[min(len(args), len(words)-1)], "...")
	if len(args) >= len(words) && !more {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	kinds := strings.Split(word, "|")
	if word == strings.ToLower(word) {
		return kinds, cobra.ShellCompDirectiveNoFileComp // the very words, such as names of shells
	}
	var found []string
	directive := cobra.ShellCompDirectiveNoFileComp
	names := a.names(c)
	for _, kind := range kinds {
		switch {
		case kind == "STAGE":
			found = append(found, described(slices.Concat(names.Stages, names.Groups), args, typed)...)
		case kind == "OUT":
			found = append(found, described(names.Outs, args, typed)...)
		case kind == "SOURCE":
			found = append(found, described(names.Sources, args, typed)...)
		case kind == "ENV", kind == "FROM", kind == "TO":
			for _, name := range names.Environments {
				found = append(found, described([]pipe.Name{{Name: name}}, args, typed)...)
			}
		case kind == "NAME" && c.Parent().Name() == "remote" && c.Name() != "add":
			found = append(found, described(names.Remotes, args, typed)...)
		case kind == "PATH", kind == "FILE", kind == "DIR":
			directive = cobra.ShellCompDirectiveDefault
		}
	}
	return found, directive
}

// stagePatterns lets --only and --skip complete the names of stages and groups.
func (a *app) stagePatterns(c *cobra.Command) {
	names := func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		n := a.names(c)
		return described(slices.Concat(n.Stages, n.Groups), nil, typed), cobra.ShellCompDirectiveNoFileComp
	}
	complete(c, "only", names)
	complete(c, "skip", names)
}

// remotes completes the name of a remote; one may also be a directory.
func (a *app) remotes(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return described(a.names(c).Remotes, args, typed), cobra.ShellCompDirectiveDefault
}

// environments completes the name of an environment.
func (a *app) environments(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.names(c).Environments, cobra.ShellCompDirectiveNoFileComp
}

// names returns what the project has; nothing where there is none, or a broken one. Completion
// touches no network and says nothing.
func (a *app) names(c *cobra.Command) pipe.Names {
	opt := a.options()
	opt.Emit = nil
	p, err := pipe.Open(c.Context(), opt)
	if err != nil {
		return pipe.Names{}
	}
	n := p.Names(c.Context())
	_ = p.Close() // nobody reads errors while they type
	return n
}

// described returns the names that begin as typed and were not given before, each with a tab and
// what it is. They come from outside and go to a terminal: a name that cannot be shown is not
// offered, since it could not be typed, either.
func described(names []pipe.Name, given []string, typed string) (out []string) {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	for _, n := range names {
		if !strings.HasPrefix(n.Name, typed) || slices.Contains(given, n.Name) || strings.ContainsFunc(n.Name, hidden) {
			continue
		}
		if n.About != "" && !strings.ContainsFunc(n.About, hidden) {
			n.Name += "\t" + n.About
		}
		out = append(out, n.Name)
	}
	return out
}

// oneOf lets a flag complete its values.
func oneOf(c *cobra.Command, flag string, values ...string) {
	complete(c, flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	})
}

// complete sets how a flag is completed. The flag is there: anything else is a slip of ours.
func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}
