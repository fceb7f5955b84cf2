package lockfile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// decoder reads a lock that is valid YAML but not in canonical form.
type decoder struct {
	file   string
	faults diag.List
}

func decode(file string, root *yamldoc.Node) (*File, error) {
	d := &decoder{file: file}
	f := &File{}
	if root.Kind == yamldoc.Null {
		return f, nil
	}
	m := d.fields(root, "schema", "stages")
	if n := m["schema"]; n == nil {
		d.fault(root, "no schema: this is no lock of pipe's")
	} else if got := d.number(n); got != Schema {
		d.fault(n, "schema %d; this pipe reads %d", got, Schema)
	}
	if n := m["stages"]; n != nil && n.Kind == yamldoc.Map {
		for _, p := range n.Pairs {
			f.Stages = append(f.Stages, d.stage(p.Key, p.Value))
		}
	} else if n != nil && n.Kind != yamldoc.Null {
		d.fault(n, "stages is %s, not a map", n.Kind)
	}
	if len(d.faults) > 0 {
		return nil, d.faults
	}
	slices.SortFunc(f.Stages, func(a, b Stage) int { return strings.Compare(a.Name, b.Name) })
	return f, nil
}

func (d *decoder) fault(n *yamldoc.Node, format string, args ...any) {
	d.faults = append(d.faults, diag.New(diag.Usage, format, args...).At(n.Place(d.file)).
		Hinted("take the lock of an earlier commit: git checkout HEAD -- %s", d.file))
}

// fields returns the values of a map, a fault for each key that is not among known.
func (d *decoder) fields(n *yamldoc.Node, known ...string) map[string]*yamldoc.Node {
	if n.Kind != yamldoc.Map {
		d.fault(n, "%s stands where a map is wanted", n.Kind)
		return nil
	}
	m := make(map[string]*yamldoc.Node, len(n.Pairs))
	for _, p := range n.Pairs {
		if !slices.Contains(known, p.Key) {
			d.fault(p.At, "unknown key %q", p.Key)
		}
		m[p.Key] = p.Value
	}
	return m
}

func (d *decoder) stage(name string, n *yamldoc.Node) (s Stage) {
	s.Name = name
	m := d.fields(n, "key", "generation", "cmd", "deps", "params", "env", "outs")
	if m == nil {
		return s
	}
	if text, ok := d.scalar(n, m, "key"); ok {
		var err error
		if s.Key, err = digest.ParseKey(text); err != nil {
			d.fault(m["key"], "stage %s: key: %v", name, err)
		}
	}
	if g := m["generation"]; g != nil {
		s.Generation = int(d.number(g))
	}
	s.Cmd = d.hash(n, m, "cmd")
	each(d, m["deps"], func(n *yamldoc.Node) { s.Deps = append(s.Deps, d.dep(n)) })
	each(d, m["params"], func(n *yamldoc.Node) {
		f := d.fields(n, "file", "key", "value")
		if f == nil {
			return
		}
		s.Params = append(s.Params, Param{File: d.path(n, f, "file"), Key: d.optional(f, "key"), Value: d.text(n, f, "value")})
	})
	each(d, m["env"], func(n *yamldoc.Node) {
		f := d.fields(n, "name", "value", "hash")
		if f == nil {
			return
		}
		s.Env = append(s.Env, Env{Name: d.text(n, f, "name"), Value: d.optional(f, "value"), Hash: d.optional(f, "hash")})
	})
	each(d, m["outs"], func(n *yamldoc.Node) {
		f := d.fields(n, "path", "kind", "exec", "hash", "size", "files")
		if f == nil {
			return
		}
		kind := d.optional(f, "kind")
		if kind != "" && kind != string(artifact.Dir) {
			d.fault(n, "kind %q of an out", kind)
		}
		s.Outs = append(s.Outs, artifact.Output{
			Path: d.path(n, f, "path"), Dir: kind == string(artifact.Dir), Exec: d.flag(f, "exec"),
			Digest: d.hash(n, f, "hash"), Size: d.count(f, "size"), Files: d.count(f, "files"),
		})
	})
	return s
}

func (d *decoder) dep(n *yamldoc.Node) artifact.Input {
	f := d.fields(n, "path", "kind", "exec", "hash", "size", "files", "in")
	if f == nil {
		return artifact.Input{}
	}
	kind := artifact.Kind(d.optional(f, "kind"))
	if kind != artifact.OneFile && kind != artifact.Dir && kind != artifact.Glob {
		d.fault(n, "kind %q of a dep", kind)
	}
	dep := artifact.Input{
		Path: d.depPath(n, f, kind), Kind: kind, Exec: d.flag(f, "exec"),
		Digest: d.hash(n, f, "hash"), Size: d.count(f, "size"), Files: d.count(f, "files"),
	}
	if f["in"] != nil {
		dep.In = d.hash(n, f, "in")
	}
	return dep
}

func (d *decoder) depPath(at *yamldoc.Node, m map[string]*yamldoc.Node, kind artifact.Kind) repopath.Path {
	text, ok := d.scalar(at, m, "path")
	if !ok {
		return ""
	}
	p, ok := depPath(text, kind)
	if !ok {
		d.fault(m["path"], "%q is not a path inside the repository", text)
	}
	return p
}

func each(d *decoder, n *yamldoc.Node, one func(*yamldoc.Node)) {
	if n == nil {
		return
	}
	if n.Kind != yamldoc.List {
		d.fault(n, "%s stands where a list is wanted", n.Kind)
		return
	}
	for _, it := range n.Items {
		one(it)
	}
}

func (d *decoder) text(at *yamldoc.Node, m map[string]*yamldoc.Node, key string) string {
	s, _ := d.scalar(at, m, key)
	return s
}

// scalar returns the text of a key; without one it reports that, and false.
func (d *decoder) scalar(at *yamldoc.Node, m map[string]*yamldoc.Node, key string) (string, bool) {
	n := m[key]
	if n == nil {
		d.fault(at, "no %s", key)
		return "", false
	}
	if n.Kind == yamldoc.List || n.Kind == yamldoc.Map || n.Kind == yamldoc.Null {
		d.fault(n, "%s is %s, not a text", key, n.Kind)
		return "", false
	}
	return n.Value, true
}

func (d *decoder) optional(m map[string]*yamldoc.Node, key string) string {
	if m[key] == nil {
		return ""
	}
	return d.text(m[key], m, key)
}

func (d *decoder) hash(at *yamldoc.Node, m map[string]*yamldoc.Node, key string) digest.Digest {
	text, ok := d.scalar(at, m, key)
	if !ok {
		return digest.Digest{}
	}
	h, err := digest.Parse(text)
	if err != nil {
		d.fault(m[key], "%s: %v", key, err)
	}
	return h
}

func (d *decoder) path(at *yamldoc.Node, m map[string]*yamldoc.Node, key string) repopath.Path {
	text, ok := d.scalar(at, m, key)
	if !ok {
		return ""
	}
	p, err := repopath.Parse(text)
	if err != nil {
		d.fault(m[key], "%s: %v", key, err)
	}
	return p
}

func (d *decoder) flag(m map[string]*yamldoc.Node, key string) bool {
	n := m[key]
	if n != nil && n.Kind != yamldoc.Bool {
		d.fault(n, "%s is %s, not true or false", key, n.Kind)
	}
	return n != nil && n.Canonical() == "true"
}

func (d *decoder) count(m map[string]*yamldoc.Node, key string) int64 {
	if m[key] == nil {
		return 0
	}
	return d.number(m[key])
}

func (d *decoder) number(n *yamldoc.Node) int64 {
	v, err := strconv.ParseInt(n.Value, 10, 64)
	if n.Kind != yamldoc.Source || err != nil || v < 0 {
		d.fault(n, "%q is not a whole number", n.Value)
	}
	return v
}
