package cli

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
)

// yes asks on the terminal. Anything but y or yes, and the end of the input, is a no.
func (a *app) yes(question func(w io.Writer)) bool {
	to := a.Tty
	if to == nil {
		to = a.Err
	}
	question(to)
	view.Print(to, "[y/N] ")
	line, _ := bufio.NewReader(a.In).ReadString('\n')
	s := strings.ToLower(strings.TrimSpace(line))
	return s == "y" || s == "yes"
}

// sure asks before a command does what cannot be taken back. Where nobody can answer, only -y does.
func (a *app) sure(ctx context.Context, c *cobra.Command, question func(w io.Writer)) error {
	refused := func(why string) error {
		return diag.New(diag.Policy, "%s: not confirmed%s", c.CommandPath(), why).
			Hinted("%s %s -y does it without asking", c.CommandPath(), strings.Join(c.Flags().Args(), " "))
	}
	switch {
	case c.Flags().Changed("yes") && c.Flags().Lookup("yes").Value.String() == "true":
		return nil
	case !a.Terminal || a.set("CI"):
		return refused(": there is no terminal to ask on")
	}
	return a.ask(ctx, func() error {
		if a.yes(question) {
			return nil
		}
		return refused("")
	})
}

// asks adds the flag of commands that ask.
func asks(c *cobra.Command) *cobra.Command {
	c.Flags().BoolP("yes", "y", false, "do it without asking")
	return c
}

// named refuses --env where the environment is an argument.
func (a *app) named(c *cobra.Command) error {
	if a.env != "" {
		return diag.New(diag.Usage, "%s takes the environment as an argument, not by --env", c.CommandPath()).Hinted("%s", strings.TrimSuffix(c.UseLine(), " [flags]"))
	}
	return nil
}
