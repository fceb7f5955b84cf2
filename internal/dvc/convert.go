package dvc

import (
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Note says of one thing what the import made of it, and what is left to do.
type Note struct {
	At   string `json:"at"`           // a file, or file: stage
	What string `json:"what"`         // what became of it
	Do   string `json:"do,omitempty"` // what to do, where something is left
	Lost bool   `json:"lost"`         // it is not carried over
}

// Converted is a project of DVC as one of pipe.
type Converted struct {
	Files     []Text // the pipe.yaml files, that of the root first
	Notes     []Note
	Templates []Template // in the commands
	Remotes   []string   // of DVC, that outputs name for themselves
}

// Template is one ${} in a command.
type Template struct {
	File, Stage string
	N           int // from 0, in the order of the text
}

// Text is a pipe.yaml.
type Text struct {
	Dir  string // relative to the root; "." is the root
	Text string
}

// Target is what the new pipe.yaml says beside stages.
type Target struct {
	Name   string // of the project
	Remote string // what stands behind remote:, as YAML; empty: there is none
	// Raw are the templates whose values stay as they are: ${x | raw}.
	Raw map[Template]bool
	// Inputs are what the .dvc files keep, relative to the root.
	Inputs []string
}

// Header begins each pipe.yaml that Convert writes. It names the file that it was made of.
const Header = "# Made by pipe import dvc from "

// Convert turns the stages of all dvc.yaml files into pipe.yaml files, each beside its own; the root's
// includes the others. Comments stay, and so do vars, foreach, matrix and templates.
func (p *Project) Convert(to Target) (*Converted, error) {
	c := &conversion{raw: to.Raw}
	var included []string
	for i := range p.Files {
		f := &p.Files[i]
		if f.Dir != "." {
			included = append(included, f.Dir)
			stages, err := c.convert(f)
			if err != nil {
				return nil, err
			}
			c.Files = append(c.Files, Text{f.Dir, Header + StagesFile + ".\n\n" + stages})
		}
	}
	from, stages := StagesFile, ""
	if len(p.Files) > 0 && p.Files[0].Dir == "." {
		var err error
		if stages, err = c.convert(&p.Files[0]); err != nil {
			return nil, err
		}
	} else {
		from = "DVC's files"
	}
	top := Header + from + `. It declares what to build and deploy:
# commit it together with pipe.lock. "pipe repro" runs what changed.

project: ` + to.Name + "\n"
	if to.Remote != "" {
		top += "remote: " + to.Remote + "\n"
	}
	if stages != "" || len(included) > 0 {
		top += "\n# DVC's commands see the whole environment. Without this line, a command sees only what its env: names.\nenv_mode: loose\n"
	}
	if len(included) > 0 {
		top += "\ninclude: " + flow(included) + "\n"
	}
	if len(to.Inputs) > 0 {
		top += "\n# Files that people change, not commands.\ninputs:\n"
		for _, in := range to.Inputs {
			top += "  - " + pathItem(in) + "\n"
		}
	}
	if len(c.metrics) > 0 {
		top += "\nmetrics: " + flow(c.metrics) + "\n"
	}
	if stages != "" {
		top += "\n" + stages
	}
	c.Files = append([]Text{{".", top}}, c.Files...)
	return &c.Converted, nil
}

// flow writes texts as a list on one line.
func flow(texts []string) string {
	list := yamldoc.NewList(true)
	for _, t := range texts {
		list.Append(yamldoc.NewText(t))
	}
	return strings.TrimSuffix(list.Encode(), "\n")
}

// pathItem writes a path as an item of a list.
func pathItem(at string) string {
	return strings.TrimSuffix(literal(at).Encode(), "\n")
}

// literal returns a path that means itself, whatever characters it has.
func literal(at string) *yamldoc.Draft {
	text := yamldoc.NewText(at)
	if !strings.ContainsAny(at, "*?[]{}!\\") || strings.Contains(at, "${") {
		return text
	}
	m := yamldoc.NewMap(true)
	m.Set("path", text)
	return m
}

// conversion is one call of Convert.
type conversion struct {
	Converted
	raw     map[Template]bool
	metrics []string // files that metrics: at the top names, relative to the root
}

// converter turns one dvc.yaml.
type converter struct {
	*conversion
	file string
	at   string // the stage
	n    int    // templates in the stage's commands so far
}

func (c *converter) note(n Note) {
	n.At = c.file
	if c.at != "" {
		n.At += ": " + c.at
	}
	c.Notes = append(c.Notes, n)
}

// lost notes what is not carried over.
func (c *converter) lost(what, do string) { c.note(Note{What: what, Do: do, Lost: true}) }

// said notes a decision.
func (c *converter) said(what, do string) { c.note(Note{What: what, Do: do}) }

// notCarried are the keys at the top of a dvc.yaml that pipe has no use for.
var notCarried = map[string][2]string{
	"plots":     {"plots: at the top is not carried over: pipe draws none", "keep dvc.yaml for dvc plots, or draw from the outputs"},
	"params":    {"params: at the top is not carried over", "name the keys in the params: of the stages that read them"},
	"artifacts": {"artifacts: is not carried over: pipe has no model registry", "pipe find, pipe get and environments answer where an artifact is"},
	"datasets":  {"datasets: is not carried over", "name the data in inputs: or sources:, or as a {url: ...} dependency"},
}

// convert returns vars and stages of a dvc.yaml as they stand in pipe.yaml.
func (c *conversion) convert(f *File) (string, error) {
	root, err := yamldoc.ReadDraft(f.Name(), f.Text)
	if err != nil {
		return "", err
	}
	w := &converter{conversion: c, file: f.Name()}
	var parts []string
	if head := root.Head(); head != "" {
		parts = append(parts, head+"\n")
	}
	for _, key := range root.Keys() {
		why, gone := notCarried[key]
		switch {
		case gone:
			w.lost(why[0], why[1])
		case key == "metrics":
			w.metricFiles(f.Dir, root.Get(key))
		case key == "stages":
			parts = append(parts, w.stages(root.Get(key)))
		default: // vars, and what no version of DVC that we know has: spec judges it
			parts = append(parts, root.Pair(key))
		}
	}
	return strings.Join(parts, "\n"), nil
}

// stages writes all stages, an empty line between two.
func (c *converter) stages(all *yamldoc.Draft) string {
	var b strings.Builder
	b.WriteString("stages:\n")
	for i, name := range all.Keys() {
		c.at, c.n = name, 0
		s := all.Get(name)
		if do := s.Get("do"); do != nil {
			c.stage(name, do)
		} else {
			c.stage(name, s)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		for line := range strings.Lines(all.Pair(name)) {
			if strings.TrimSpace(line) != "" {
				b.WriteString("  ")
			}
			b.WriteString(line)
		}
	}
	c.at = ""
	return b.String()
}

// stage changes what a stage, or the do: of several, has other than in pipe.
func (c *converter) stage(name string, s *yamldoc.Draft) {
	if !s.IsMap() {
		return // spec says what is wrong
	}
	c.cmd(s)
	c.deps(s)
	c.params(s)
	c.outs(s)
	c.kind(name, s)
}

// kind says what a stage without outs is: DVC runs it when its deps change, as a check of pipe.
func (c *converter) kind(name string, s *yamldoc.Draft) {
	if outsOf(s) > 0 {
		return
	}
	for _, list := range outLists {
		s.Delete(list)
	}
	if Deploys(name) {
		s.Set("deploy", yamldoc.NewFlag(true))
		c.said("has no outs and its name says that it deploys, so it is a deploy stage (deploy: true): it runs in a directory with only its deps",
			"if it is a test, write check: true instead; if it reads other files, add workdir: repo")
	} else {
		s.Set("check", yamldoc.NewFlag(true))
		c.said("has no outs, so it is a check (check: true): it runs again when its inputs change", "if it changes something outside the project, write deploy: true instead")
	}
	frozen := s.Get("frozen")
	if len(s.Get("deps").Items())+len(s.Get("params").Items()) == 0 && s.Get("always_changed") == nil && (frozen == nil || frozen.Value() != "true") {
		s.Set("always_changed", yamldoc.NewFlag(true))
		c.said("has neither deps nor outs: it runs each time (always_changed: true), as in DVC", "name what it reads in deps to run it only when that changes")
	}
}
