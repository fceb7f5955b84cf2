package dvc

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Deploys reports whether a stage's name has one of the words of deployments in it.
func Deploys(name string) bool {
	word := strings.Builder{}
	var words []string
	last := rune(0)
	for _, r := range name + " " {
		hump := unicode.IsUpper(r) && unicode.IsLower(last) // deployProd
		if !unicode.IsLetter(r) || hump {
			words = append(words, strings.ToLower(word.String()))
			word.Reset()
		}
		if unicode.IsLetter(r) {
			word.WriteRune(r)
		}
		last = r
	}
	return slices.ContainsFunc(words, func(w string) bool { return w == "deploy" || w == "release" || w == "publish" })
}

// bashOnly is what sh does not know.
var bashOnly = regexp.MustCompile(`\[\[|<\(|>\(|<<<|&>|\bsource\s|\bfunction\s|\bdeclare\s|\bpushd\b|\bpopd\b|\bset -o pipefail\b|\bshopt\b|\$'|\w=\(|\{[\w./-]*,[\w./,-]*\}|\{\d+\.\.\d+\}`)

// dvcVariables are what DVC gives to commands.
var dvcVariables = map[string]string{"DVC_ROOT": "PIPE_ROOT", "DVC_STAGE": "the stage's name", "DVC_EXP_NAME": ""}

// cmd makes of several lines a list: DVC runs each in a shell of its own.
func (c *converter) cmd(s *yamldoc.Draft) {
	cmd := s.Get("cmd")
	var lines []string
	switch {
	case cmd.IsList():
		for _, it := range cmd.Items() {
			lines = append(lines, it.Value())
		}
	case cmd.IsText():
		if lines = commandLines(cmd.Value()); len(lines) > 1 {
			list := yamldoc.NewList(false)
			for _, line := range lines {
				list.Append(yamldoc.NewText(line))
			}
			s.Set("cmd", list)
			c.said("each line of its cmd runs in a shell of its own, as in DVC: cmd is a list", "write one text for one shell, which stops at the first error")
		} else if len(lines) == 1 && lines[0] != cmd.Value() {
			s.Set("cmd", yamldoc.NewText(lines[0]))
		}
	}
	c.templates(s.Get("cmd"))
	all := strings.Join(lines, "\n")
	if bashOnly.MatchString(all) {
		s.Set("shell", yamldoc.NewText("bash"))
		c.said("its cmd uses what only bash knows: shell: bash", "")
	}
	for _, name := range []string{"DVC_EXP_NAME", "DVC_ROOT", "DVC_STAGE"} {
		if strings.Contains(all, name) {
			do := "remove it from cmd"
			if to := dvcVariables[name]; to != "" {
				do = "use " + to + " in its place"
			}
			c.lost("its cmd uses "+name+", which pipe does not set", do)
		}
	}
}

// template is a ${} that DVC fills in: one with no backslash before it.
var template = regexp.MustCompile(`(\\?)\$\{([^}]*)\}`)

// templates marks those whose values must not be quoted.
func (c *converter) templates(cmd *yamldoc.Draft) {
	texts := cmd.Items()
	if cmd.IsText() {
		texts = append(texts, cmd)
	}
	for _, t := range texts {
		t.SetValue(template.ReplaceAllStringFunc(t.Value(), func(found string) string {
			if strings.HasPrefix(found, `\`) {
				return found
			}
			at := Template{c.file, c.at, c.n}
			c.n++
			c.Templates = append(c.Templates, at)
			if !c.raw[at] {
				return found
			}
			raw := strings.TrimSuffix(found, "}") + " | raw}"
			c.said("its cmd has "+raw+": quoted, as pipe quotes a value, it would be another command", "write "+found+" where the value is one word")
			return raw
		}))
	}
}

// deps keeps paths as they are, and takes out what lies elsewhere.
func (c *converter) deps(s *yamldoc.Draft) {
	deps := s.Get("deps")
	if !deps.IsList() {
		return
	}
	kept := yamldoc.NewList(deps.IsShort())
	for _, it := range deps.Items() {
		if d := c.dep(it); d != nil {
			kept.Append(d)
		}
	}
	c.replace(s, "deps", deps, kept)
}

// replace puts a list in place of another one, unless they are the same: then comments and form stay.
func (c *converter) replace(s *yamldoc.Draft, key string, old, next *yamldoc.Draft) {
	switch {
	case len(next.Items()) == 0:
		s.Delete(key)
	case next.Encode() != old.Encode():
		s.Set(key, next)
	}
}

func (c *converter) dep(it *yamldoc.Draft) *yamldoc.Draft {
	if !it.IsText() {
		return it
	}
	at := it.Value()
	scheme, _, isURL := strings.Cut(at, "://")
	switch {
	case isURL && (scheme == "http" || scheme == "https"):
		m := yamldoc.NewMap(true)
		m.Set("url", yamldoc.NewText(at))
		c.said("its dependency "+at+" is {url: ...}: by its ETag, or its hash", "")
		return m
	case isURL:
		c.lost("its dependency "+at+" is not carried over: pipe does not read "+scheme+"://", "write {cmd: COMMAND} in deps, where the command prints its version")
		return nil
	case path.IsAbs(at):
		c.lost("its dependency "+at+" is not carried over: it is outside the repository", "write {cmd: COMMAND} in deps, where the command prints its version")
		return nil
	case strings.ContainsAny(at, "*?[]!\\") && !strings.Contains(at, "${"):
		return literal(at)
	}
	return it
}

// params turns what pipe cannot read keys from into a dep.
func (c *converter) params(s *yamldoc.Draft) {
	params := s.Get("params")
	if !params.IsList() {
		return
	}
	kept := yamldoc.NewList(params.IsShort())
	for _, it := range params.Items() {
		for _, file := range it.Keys() {
			if path.Ext(file) != ".py" {
				continue
			}
			it.Delete(file)
			deps := s.Get("deps")
			if deps == nil {
				deps = yamldoc.NewList(false)
				s.Set("deps", deps)
			}
			if !slices.ContainsFunc(deps.Items(), func(d *yamldoc.Draft) bool { return d.IsText() && d.Value() == file }) {
				deps.Append(literal(file))
			}
			c.said("its params of "+file+" are a dependency on the whole file: pipe reads keys of YAML, JSON and TOML", "move the values to params.yaml")
		}
		if !it.IsMap() || len(it.Keys()) > 0 {
			kept.Append(it)
		}
	}
	c.replace(s, "params", params, kept)
}

// outs keeps the lists of outs, with the options that pipe has.
func (c *converter) outs(s *yamldoc.Draft) {
	for _, kind := range outLists {
		old := s.Get(kind)
		next := yamldoc.NewList(old.IsShort())
		for _, it := range old.Items() {
			next.Append(c.out(it, kind))
		}
		if old != nil {
			c.replace(s, kind, old, next)
		}
	}
}

// metricFiles adds the files that metrics: at the top names. In pipe, the root's file has that key.
func (c *converter) metricFiles(dir string, list *yamldoc.Draft) {
	for _, it := range list.Items() {
		if at := it.Value(); strings.ContainsAny(at, "*?[]{}!\\") {
			c.lost("metrics: "+at+" is not carried over", "write it in metrics: of pipe.yaml without a template, or name it: pipe metrics show FILE")
		} else if at = path.Join(dir, at); !slices.Contains(c.metrics, at) {
			c.metrics = append(c.metrics, at)
		}
	}
}

// outLists are the lists of outs that a stage has.
var outLists = []string{"outs", "metrics", "plots"}

// outsOf returns how many outs a stage has.
func outsOf(s *yamldoc.Draft) (n int) {
	for _, kind := range outLists {
		n += len(s.Get(kind).Items())
	}
	return n
}

// outOptions are DVC's options of outs that mean the same in pipe.
var outOptions = []string{"cache", "persist", "push"}

// plotOptions say how DVC draws a plot. pipe draws none, and takes them.
var plotOptions = []string{"x", "y", "x_label", "y_label", "title", "template", "header"}

// out returns an out with the options that pipe has.
func (c *converter) out(it *yamldoc.Draft, kind string) *yamldoc.Draft {
	if !it.IsMap() || len(it.Keys()) != 1 {
		return it
	}
	at := it.Keys()[0]
	options := it.Get(at)
	if options.IsList() { // plots may have one for each picture
		return it
	}
	next := yamldoc.NewMap(true)
	var gone []string
	for _, key := range options.Keys() {
		switch {
		case slices.Contains(outOptions, key), kind == "plots" && slices.Contains(plotOptions, key):
			next.Set(key, options.Get(key))
		case key == "remote":
			c.Remotes = append(c.Remotes, options.Get(key).Value())
			c.said("its output "+at+" had the DVC remote "+options.Get(key).Value()+" of its own: it goes to the default remote",
				"add that remote and name it in the output: {path: "+at+", remote: NAME}")
		default:
			gone = append(gone, key)
		}
	}
	if len(gone) > 0 {
		c.lost("its output "+at+" has no "+strings.Join(gone, ", ")+" in pipe", "write it as a comment")
	}
	if len(next.Keys()) == 0 {
		return yamldoc.NewText(at)
	}
	m := yamldoc.NewMap(it.IsShort())
	m.Set(at, next)
	return m
}
