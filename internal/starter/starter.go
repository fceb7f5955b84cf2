// Package starter proposes a first pipe.yaml for what it finds in a directory.
//
// Each kind of project (a go.mod, a package.json, ...) is one file here, which finds out what
// its stages need and writes them; the texts around the stages are in notes.go. What is proposed
// must work as it stands in a usual project, so a stage is left out where its command or its
// outputs are not known, and no proposal deploys anything.
package starter

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
)

// Tree is the directory that is looked at. Names are relative to it, with slashes.
type Tree struct {
	Files   []string                                  // the files that git does not ignore, sorted
	Read    func(name string) ([]byte, error)         // a file's bytes
	Ignored func(name string, dir bool) (bool, error) // would git ignore it?
	Tracked func(name string) (bool, error)           // does git track it, or anything in it?
	Set     func(variable string) bool                // is it in the environment?
}

// Found is a file that says what kind of project this is, and the stages that came of it.
type Found struct {
	File   string   // go.mod, for example
	Stages []string // proposed for it; none: Why says why
	Why    string
}

// Proposal is a pipe.yaml with its reasons.
type Proposal struct {
	Text  string
	Found []Found
}

// part is what one kind of project gives to the proposal.
type part struct {
	Found
	suffix string             // of the stages' names where there are several kinds
	check  func(place) string // writes the stage that tests; nil: there is none
	build  func(place) string // and the one that builds
	outs   []string           // what that one creates, in the form of an item
	makes  []string           // the same as paths
	image  bool               // it is an image
}

// place is what a stage must know of the whole proposal.
type place struct {
	name  string   // what it is called
	needs []string // the checks before it
	made  []string // exclusions of the files that any stage creates, for those that take all files
}

// Propose returns a pipe.yaml for a project of this name.
func Propose(name string, t *Tree) (*Proposal, error) {
	parts, rest, err := t.parts(name)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		rest = append(rest, t.below()...)
	}
	for {
		p := compose(name, parts)
		p.Found = append(p.Found, rest...)
		if _, err = spec.Parse(spec.FileName, []byte(p.Text)); err == nil {
			return p, nil
		}
		if len(parts) == 0 {
			return nil, fmt.Errorf("propose %s: %w", spec.FileName, err)
		}
		// Two parts of which each is right by itself may not go together.
		last := parts[len(parts)-1]
		parts = parts[:len(parts)-1]
		rest = append([]Found{{File: last.File, Why: "not used: its stages do not fit with the others (" + diag.All(err)[0].What + ")"}}, rest...)
	}
}

// compose writes the stages of parts into one text.
func compose(name string, parts []*part) *Proposal {
	w := &writer{}
	for _, p := range parts {
		for _, m := range p.makes {
			if !strings.HasSuffix(m, "/") { // no glob looks into a directory that a stage creates
				w.made = append(w.made, not(literal(m)))
			}
		}
	}
	// A Makefile and a Dockerfile have no suffix: they share no name with a language.
	several := len(parts) > 1 && parts[1].suffix != ""
	for _, p := range parts {
		suffix := ""
		if several && p.suffix != "" {
			suffix = "-" + p.suffix
		}
		w.add(p, suffix)
	}
	if len(parts) == 0 {
		w.deps = []string{"artifacts/hello.txt"}
		w.stages = []string{example}
	}
	deploy := fmt.Sprintf(deployLater, flow(append(w.deps, "deploy.sh")))
	if len(w.tests) > 0 {
		deploy += "\n  needs: " + flow(w.tests)
	}
	w.stages = append(w.stages, comment(deploy))
	return &Proposal{Text: fmt.Sprintf(head, name) + "stages:\n" + strings.Join(w.stages, "\n") + where, Found: w.found}
}

// parts finds what the proposal is made of. A language's own commands are better known than
// what a Makefile does, so that one counts only where there is nothing else.
func (t *Tree) parts(name string) (parts []*part, rest []Found, err error) {
	for _, find := range []func() (*part, error){t.golang, t.node, t.python} {
		p, err := find()
		switch {
		case err != nil:
			return nil, nil, err
		case p != nil && p.Why != "":
			rest = append(rest, p.Found)
		case p != nil:
			parts = append(parts, p)
		}
	}
	m, err := t.makefile()
	if err != nil {
		return nil, nil, err
	}
	switch {
	case m != nil && m.Why != "":
		rest = append(rest, m.Found)
	case m != nil && len(parts) == 0:
		parts = append(parts, m)
	case m != nil:
		rest = append(rest, Found{File: m.File, Why: "not used: " + parts[0].File + " says more about the outputs"})
	}
	d, err := t.docker(name, parts)
	if d != nil {
		parts = append(parts, d)
	}
	return parts, rest, err
}

// below finds projects in directories of a repository whose top is not a project. A few are enough to
// say what to do.
func (t *Tree) below() (found []Found) {
	signs := []string{"go.mod", "package.json", "pyproject.toml", "Dockerfile", "Makefile"}
	for _, f := range t.Files {
		dir, name := path.Split(f)
		if dir != "" && strings.Count(dir, "/") <= 3 && slices.Contains(signs, name) && len(found) < 10 {
			found = append(found, Found{File: f, Why: "not used: run pipe init in " + dir + " to make a project of it"})
		}
	}
	return found
}

// writer puts the proposal together.
type writer struct {
	stages []string // their texts
	deps   []string // what a deployment takes
	tests  []string // and waits for
	made   []string // see place
	found  []Found
}

// add writes the stages of a part. An image is what is deployed, even where it is made of what
// others build.
func (w *writer) add(p *part, suffix string) {
	found := p.Found
	if p.check != nil {
		test := "test" + suffix
		w.stages = append(w.stages, p.check(place{name: test, made: w.made}))
		w.tests = append(w.tests, test)
		found.Stages = append(found.Stages, test)
	}
	build := "build" + suffix
	if p.image {
		build, w.deps = "image", nil
	}
	if p.build != nil {
		w.stages = append(w.stages, p.build(place{build, w.tests, w.made}))
	}
	if len(p.outs) > 0 {
		found.Stages = append(found.Stages, build)
		w.deps = append(w.deps, p.outs...)
	}
	w.found = append(w.found, found)
}

// has reports whether a file is there, ignored or not. A file that cannot be read counts: its
// reader says why.
func (t *Tree) has(name string) bool {
	_, err := t.Read(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// there returns those names that are files.
func (t *Tree) there(names ...string) (found []string) {
	for _, n := range names {
		if t.has(n) {
			found = append(found, n)
		}
	}
	return found
}

// env is the key for those variables that the environment has, if any.
func (t *Tree) env(variables ...string) string {
	set := slices.DeleteFunc(variables, func(v string) bool { return !t.Set(v) })
	if len(set) == 0 {
		return ""
	}
	return "env: " + flow(set) + "   # set here when pipe init ran; the value is part of the key"
}

// junk returns exclusions for those directories that tools write on the way and git does not
// ignore: an input that changes while a stage runs makes it fail.
func (t *Tree) junk(dirs ...string) (items []string, err error) {
	for _, d := range dirs {
		// A name is asked for that a pattern such as *.egg-info/ would match.
		ignored, err := t.Ignored(strings.ReplaceAll(path.Join("x", d), "*", "x"), true)
		if err != nil {
			return nil, err
		}
		if !ignored {
			items = append(items, not("**/"+d+"/"))
		}
	}
	return items, nil
}

// anyJunk returns exclusions for what tools write in projects of the languages that are here.
func (t *Tree) anyJunk() (items []string, err error) {
	var dirs []string
	if t.has("package.json") {
		dirs = append(dirs, "node_modules")
	}
	if slices.ContainsFunc(t.Files, func(f string) bool { return path.Ext(f) == ".py" }) {
		dirs = append(dirs, "__pycache__")
	}
	if items, err = t.junk(dirs...); err != nil {
		return nil, err
	}
	ignored, err := t.Ignored("x.o", false)
	if !ignored && slices.ContainsFunc(t.Files, func(f string) bool { return slices.Contains([]string{".c", ".cc", ".cpp", ".cxx"}, path.Ext(f)) }) {
		items = append(items, not("**/*.o"))
	}
	return items, err
}

// free returns the first of the directories in which git tracks nothing: an output is replaced
// as a whole, so what people wrote must not be in it.
func (t *Tree) free(dirs ...string) (string, error) {
	for _, d := range dirs {
		tracked, err := t.Tracked(d)
		if err != nil {
			return "", err
		}
		if !tracked {
			return d, nil
		}
	}
	return "artifacts", nil
}

// absentIsNil drops the error for a file that is not there.
func absentIsNil(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
