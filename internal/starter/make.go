package starter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/shell"
)

// rules are the targets of a Makefile with what they need, as far as they are plain names.
type rules struct {
	order []string
	needs map[string][]string
	phony map[string]bool
	vars  map[string]string
}

var (
	makeRule   = regexp.MustCompile(`^([^\s#:=][^#:=]*):(?:[^=:]|$)(.*)`)
	makeVar    = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)\s*(?:::?|\?)?=\s*(.*)$`)
	makeUse    = regexp.MustCompile(`\$[({]([A-Za-z_][A-Za-z0-9_]*)[)}]`)
	makeOutput = regexp.MustCompile(`(?:^|[\s=>'"])((?:dist|bin|build|out|target)/[A-Za-z0-9._/-]*)`)
)

// makefile proposes for a Makefile; where there are several, for the one that make reads.
func (t *Tree) makefile() (*part, error) {
	names := t.there("GNUmakefile", "makefile", "Makefile")
	if len(names) == 0 {
		return nil, nil
	}
	b, err := t.Read(names[0])
	if err != nil {
		return nil, err
	}
	r := parseMake(string(b))
	check, cmd, goal := "", "make", ""
	for _, c := range []string{"check", "test"} {
		if _, ok := r.needs[c]; ok {
			check = c
		}
	}
	if _, ok := r.needs["build"]; ok {
		cmd, goal = "make build", "build"
	}
	p := &part{Found: Found{File: names[0]}, makes: r.creates(goal, string(b))}
	p.outs = files(p.makes...)
	if check == "" && len(p.outs) == 0 {
		return &part{Found: Found{File: p.File, Why: "not used: it has no target named test or check, and what it builds is not known"}}, nil
	}
	junk, err := t.anyJunk()
	deps := slices.Concat([]string{item("**"), not("*.md"), not(".git*")}, junk)
	if check != "" {
		p.check = func(at place) string {
			return stage(checkNote, at.name,
				"check: true",
				"cmd: make "+check,
				"deps:"+list(slices.Concat(deps, at.made)),
				"mutex: make              # both stages may write the same files")
		}
	}
	p.build = func(at place) string {
		deps := slices.Concat(deps, at.made)
		if len(p.outs) == 0 {
			return fmt.Sprintf(makeUnknown, at.name, cmd, flow(deps))
		}
		return stage(buildNote, at.name,
			"cmd: "+cmd,
			"deps:"+list(deps),
			"outs:"+list(p.outs)+"            # correct this if make writes elsewhere",
			"mutex: make")
	}
	return p, err
}

// parseMake reads the rules of a Makefile. What needs more of make's language is passed over.
func parseMake(text string) rules {
	r := rules{needs: map[string][]string{}, phony: map[string]bool{}, vars: map[string]string{}}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "\t") {
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		if m := makeVar.FindStringSubmatch(line); m != nil {
			r.vars[m[1]] = r.expand(m[2])
			continue
		}
		m := makeRule.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		_, after, _ := strings.Cut(line, ":")
		after, _, _ = strings.Cut(after, ";")
		needs := strings.Fields(r.expand(after))
		for _, target := range strings.Fields(r.expand(m[1])) {
			switch {
			case target == ".PHONY":
				for _, n := range needs {
					r.phony[n] = true
				}
			case strings.HasPrefix(target, ".") || strings.ContainsAny(target, "%$"):
			default:
				r.order = append(r.order, target)
				r.needs[target] = append(r.needs[target], needs...)
			}
		}
	}
	return r
}

// expand puts in the variables that are known.
func (r *rules) expand(s string) string {
	return makeUse.ReplaceAllStringFunc(s, func(use string) string {
		if v, ok := r.vars[makeUse.FindStringSubmatch(use)[1]]; ok {
			return strings.TrimSpace(v)
		}
		return use
	})
}

// creates says which files make GOAL creates; none: that is not known. A goal that is a file
// is the output; else those that it needs are, or what the text says of the usual directories.
func (r *rules) creates(goal, text string) (outs []string) {
	if goal == "" && len(r.order) > 0 {
		goal = r.order[0]
	}
	for _, target := range append([]string{goal}, r.needs[goal]...) {
		_, rule := r.needs[target]
		word := slices.Contains([]string{"all", "build", "default", "help", "test", "check", "clean", "install"}, target)
		if rule && !r.phony[target] && !word && shell.Word(target) == target && !strings.HasPrefix(target, "/") && !strings.Contains(target, "..") {
			outs = append(outs, target)
		}
	}
	if len(outs) > 0 {
		if outs[0] == goal {
			return outs[:1]
		}
		return outs
	}
	for _, m := range makeOutput.FindAllStringSubmatch(r.expand(text), -1) {
		dir, _, _ := strings.Cut(m[1], "/")
		return []string{dir + "/"}
	}
	return nil
}
