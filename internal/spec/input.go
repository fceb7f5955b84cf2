package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// InputPrefix begins the name of an input among the stages. No stage of a pipe.yaml has a colon in
// its name.
const InputPrefix = "input:"

// InputName returns the name under which an input stands in graph, lock and records.
func InputName(p repopath.Path) string { return artifact.PathName(InputPrefix, p) }

// inputs reads inputs: files and directories that pipe keeps as it keeps outs, but that no
// command makes. Each becomes a stage without a command, so that what holds for outs holds for
// them: who waits for whom, what is pushed, pulled, kept and found.
func (r *reader) inputs(p *Project, n *yamldoc.Node) {
	if n.Kind == yamldoc.Null {
		return // the last entry was removed, a comment was not
	}
	s := &stageReader{reader: r, node: n, st: Stage{Name: "inputs", Wdir: repopath.Root}, seen: map[string]*yamldoc.Node{}}
	if n.Kind != yamldoc.List {
		_ = r.fault(n, "inputs: must be a list of paths, not %s", shown(n)).Hinted("pipe add PATH writes it")
		return
	}
	for _, it := range n.Items {
		o, ok := s.inputPath(it)
		if ok && s.once(it, "path", string(o.Path)) {
			p.Stages = append(p.Stages, Stage{
				Name: InputName(o.Path), Place: o.Place, Shell: "sh", Wdir: repopath.Root, Outs: []Out{o}, Input: true,
			})
		}
	}
}

// inputPath reads one item of inputs: a path, or {path: p} for one that looks like a glob, or has
// a remote of its own.
func (s *stageReader) inputPath(n *yamldoc.Node) (o Out, ok bool) {
	at := n
	if n.Kind == yamldoc.Map {
		for _, f := range n.Pairs {
			switch f.Key {
			case "path":
			case "remote":
				s.remoteOf(&o, f.Value)
			default:
				s.unknown(f, s.prefix(), nil, []string{"path", "remote"})
			}
		}
		if at = n.Get("path"); at == nil {
			_ = s.bad(n, "must be a path, or a map with path").Hinted("write {path: PATH}")
			return o, false
		}
	} else if repopath.HasMeta(n.Value) && n.Kind != yamldoc.List {
		_ = s.bad(n, "globs are not allowed: %s", n.Value).Hinted("name the directory, or write {path: %s} for a path with these characters", yamldoc.Quote(n.Value))
		return o, false
	}
	o.Place = at.Place(s.file)
	if o.Path, o.Dir, ok = s.path(at, s.base, "path"); !ok {
		return o, false
	}
	return o, s.reserved(at, o.Path, s.prefix()+"path")
}

// Inputs returns the inputs among the stages.
func (p *Project) Inputs() (all []*Stage) {
	for i := range p.Stages {
		if p.Stages[i].Input {
			all = append(all, &p.Stages[i])
		}
	}
	return all
}

// plainPath has no character that means something to YAML.
var plainPath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// item returns how a path is written in inputs: without quotes where every reader of YAML takes it
// for a text, and as a map where it would be a glob.
func (d *draft) item(name string) string {
	item, key := name, "path"
	n, err := yamldoc.Parse(FileName, []byte(name), yamldoc.Options{})
	if err != nil || n.Kind != yamldoc.String || !plainPath.MatchString(name) || d.isFlow(d.root) {
		item = yamldoc.Quote(name)
	}
	if !repopath.HasMeta(name) {
		return item
	}
	if d.isFlow(d.root) {
		key = yamldoc.Quote(key)
	}
	return "{" + key + ": " + item + "}"
}

// AddInput returns the text of a pipe.yaml with one more input, and all else as it is. dir says
// that it is a directory.
func AddInput(text string, p repopath.Path, dir bool, opt Options) (string, error) {
	d, err := newDraft(text)
	if err != nil {
		return "", err
	}
	name := string(p)
	if dir {
		name += "/"
	}
	item, value := d.item(name), &yamldoc.Node{Kind: yamldoc.String, Value: name}
	if repopath.HasMeta(name) {
		value = with(&yamldoc.Node{Kind: yamldoc.Map}, value, "path")
	}
	list := &yamldoc.Node{Kind: yamldoc.List, Items: []*yamldoc.Node{value}}
	if old := d.root.Get("inputs"); old != nil {
		list.Items = append(slices.Clone(old.Items), value)
	}
	if next, ok := d.addInput(item); ok && says(next, with(d.root, list, "inputs")) {
		_, err := ParseIn(FileName, []byte(next), opt)
		return next, err
	}
	return "", diag.New(diag.Usage, "cannot add %s to inputs in the present form of %s", p, FileName).At(FileName).
		Hinted("add it by hand, then run pipe add again: inputs: [%s]", item)
}

// addInput adds an item to inputs:, and the key where there is none.
func (d *draft) addInput(item string) (string, bool) {
	key, i := pair(d.root, "inputs")
	list := key.Value
	switch {
	case len(d.root.Pairs) == 0:
		return "", false
	case i < 0 && d.isFlow(d.root):
		first := d.root.Pairs[0].At
		return d.addFlow(d.root, first, d.quoted(first, "inputs")+": ["+item+"]"), true
	case i < 0:
		return d.aboveStages("inputs:" + d.eol + "  - " + item + d.eol + d.eol), true
	case list.Kind == yamldoc.Null:
		return d.inserted(key.At.Line, "  - "+item), true
	case d.isFlow(list) && len(list.Items) == 0:
		return d.addFlow(list, nil, item), true
	}
	last := list.Items[max(0, len(list.Items)-1)]
	if d.isFlow(list) {
		end := d.end(last)
		if end < 0 {
			return "", false
		}
		return d.replaced(end, end, ", "+item), true
	}
	if !d.begins(last) {
		return "", false
	}
	return d.inserted(d.last(last.Line), d.line(last.Line)[:indent(d.line(last.Line))]+"- "+item), true
}

// aboveStages returns the text with lines above stages:, whose comment stays with it.
func (d *draft) aboveStages(what string) string {
	at, i := pair(d.root, "stages")
	if i < 0 {
		at = d.root.Pairs[0]
	}
	line := at.At.Line
	for line > 1 && strings.HasPrefix(d.line(line-1), "#") {
		line--
	}
	return d.replaced(d.lines[line-1], d.lines[line-1], what)
}

// RemoveInput returns the text of a pipe.yaml without an input, and all else as it is.
func RemoveInput(text string, p repopath.Path, opt Options) (string, error) {
	d, err := newDraft(text)
	if err != nil {
		return "", err
	}
	key, at := pair(d.root, "inputs")
	if at < 0 {
		return text, stays(text, p, opt)
	}
	i := slices.IndexFunc(key.Value.Items, func(n *yamldoc.Node) bool {
		if path := n.Get("path"); path != nil {
			n = path
		}
		got, err := repopath.Join(repopath.Root, n.Value)
		return err == nil && got == p
	})
	if i < 0 {
		return text, stays(text, p, opt)
	}
	if next, ok := d.removeInput(at, i); ok {
		_, err := ParseIn(FileName, []byte(next), opt)
		return next, err
	}
	return "", diag.New(diag.Usage, "cannot remove %s from inputs in the present form of %s", p, FileName).At(key.Value.Items[i].Place(FileName)).
		Hinted("remove it by hand, then run pipe repro")
}

// stays returns an error if the project has an input that inputs: does not show as it is: one of an
// included file, or with a template.
func stays(text string, p repopath.Path, opt Options) error {
	project, err := ParseIn(FileName, []byte(text), opt)
	if err != nil {
		return err
	}
	if s := project.Stage(InputName(p)); s != nil {
		return diag.New(diag.Usage, "cannot remove %s from inputs in the present form of %s", p, FileName).At(s.Place).
			Hinted("remove it by hand, then run pipe repro")
	}
	return nil
}

// removeInput removes an item of inputs:, and with the last one the key, and the empty line
// that addInput has put below.
func (d *draft) removeInput(at, i int) (string, bool) {
	key := d.root.Pairs[at]
	rest := *key.Value
	if len(rest.Items) > 1 || d.isFlow(key.Value) && !d.isFlow(d.root) {
		rest.Items = slices.Delete(slices.Clone(rest.Items), i, i+1)
		next, ok := d.cutItem(key.Value, i)
		return next, ok && says(next, with(d.root, &rest, "inputs"))
	}
	if d.isFlow(d.root) {
		next, ok := d.cutPair(d.root, at)
		return next, ok && says(next, with(d.root, nil, "inputs"))
	}
	item := key.Value.Items[i]
	if item.Line != key.At.Line+1 || strings.Contains(d.line(key.At.Line), "#") { // a comment stays
		next, ok := d.cutItem(key.Value, i)
		return next, ok && says(next, with(d.root, &yamldoc.Node{Kind: yamldoc.Null}, "inputs"))
	}
	from, last := d.lines[key.At.Line-1], d.last(item.Line)
	above := key.At.Line == 1 || strings.TrimSpace(d.line(key.At.Line-1)) == "" || strings.HasPrefix(d.line(key.At.Line-1), "---")
	if above && last < len(d.lines) && strings.TrimSpace(d.line(last+1)) == "" {
		last++
	}
	next := d.replaced(from, d.after(last), "")
	return next, says(next, with(d.root, nil, "inputs"))
}
