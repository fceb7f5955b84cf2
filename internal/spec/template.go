package spec

import (
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// templated reports whether something in a stage has to be expanded.
func templated(n *yamldoc.Node) bool {
	if template.Has(n.Value) {
		return true
	}
	for _, it := range n.Items {
		if templated(it) {
			return true
		}
	}
	for _, p := range n.Pairs {
		if p.Key == "vars" || template.Has(p.Key) || templated(p.Value) {
			return true
		}
	}
	return false
}

// expand returns a stage's map with values for its templates, and what they can name: the stage's own
// vars, too. when: is left as it is, because it has names of its own.
func (r *reader) expand(name string, m *yamldoc.Node, scope *template.Scope) (*yamldoc.Node, *template.Scope) {
	x := r.expander(name, m, scope)
	next := &yamldoc.Node{Kind: m.Kind, Line: m.Line, Col: m.Col, Pairs: make([]yamldoc.Pair, 0, len(m.Pairs))}
	if vars := m.Get("vars"); vars != nil {
		scope = x.Names()
		l := &loader{reader: r, own: map[string]template.Value{}, under: scope, stage: name + ": "}
		l.load(vars, r.wdirOf(x, m))
		scope = scope.With(l.own)
		x.Names = func() *template.Scope { return scope }
	}
	bash := false
	if n := m.Get("shell"); n != nil {
		bash = x.Tree(n).Value == "bash"
	}
	for _, f := range m.Pairs {
		switch f.Key {
		case "vars":
			continue
		case "when":
		case "cmd", "drift", "undeploy":
			f.Value = x.Script(f.Value, bash)
		case "verify":
			f.Value = scriptIn(x, f.Value, bash)
		case "deps":
			f.Value = depsIn(x, f.Value, bash)
		default:
			f.Value = x.Tree(f.Value)
		}
		next.Pairs = append(next.Pairs, f)
	}
	return next, scope
}

// wdirOf returns the directory from which the stage's paths start.
func (r *reader) wdirOf(x *template.Expander, m *yamldoc.Node) repopath.Path {
	if n := m.Get("wdir"); n != nil {
		if dir, err := repopath.Join(r.base, x.Tree(n).Value); err == nil {
			return dir
		}
	}
	return r.base
}

// scriptIn expands a script, or a map with one at cmd.
func scriptIn(x *template.Expander, n *yamldoc.Node, bash bool) *yamldoc.Node {
	if n.Kind != yamldoc.Map {
		return x.Script(n, bash)
	}
	_, i := pair(n, "cmd")
	if i < 0 {
		return x.Tree(n)
	}
	next := *n
	next.Pairs = make([]yamldoc.Pair, len(n.Pairs))
	for j, p := range n.Pairs {
		if next.Pairs[j] = p; j == i {
			next.Pairs[j].Value = x.Script(p.Value, bash)
		} else {
			next.Pairs[j].Value = x.Tree(p.Value)
		}
	}
	return &next
}

// depsIn expands deps, whose {cmd: ...} are scripts.
func depsIn(x *template.Expander, n *yamldoc.Node, bash bool) *yamldoc.Node {
	if n.Kind != yamldoc.List {
		return x.Tree(n)
	}
	next := &yamldoc.Node{Kind: n.Kind, Line: n.Line, Col: n.Col, Items: make([]*yamldoc.Node, len(n.Items))}
	for i, it := range n.Items {
		if it.Get("cmd") != nil {
			next.Items[i] = scriptIn(x, it, bash)
		} else {
			next.Items[i] = x.Tree(it)
		}
	}
	return next
}

// expander returns one whose faults begin with a name; m is the stage's map, if it is about one. scope is nil
// where the names are those of the file.
func (r *reader) expander(name string, m *yamldoc.Node, scope *template.Scope) *template.Expander {
	if r.texts == nil {
		r.texts = template.NewExpander(nil)
		r.texts.Past = r.Past
	}
	x := r.texts.In(scope)
	if scope == nil {
		x.Names = r.names
	}
	if name != "" {
		name += ": "
	}
	x.Fault = func(n *yamldoc.Node, e *diag.Error) {
		e.What = name + e.What
		r.faults = append(r.faults, e.At(n.Place(r.file)))
		r.shared.unknown[e.Place] = append(r.shared.unknown[e.Place], e)
	}
	x.Env = func(v string) bool { return m != nil && listsEnv(m.Get("env"), v) }
	return x
}

// listsEnv reports whether the env of a stage has a variable.
func listsEnv(env *yamldoc.Node, name string) bool {
	if env == nil {
		return false
	}
	for _, it := range env.Items {
		if it.Value == name || it.Get(name) != nil {
			return true
		}
	}
	return false
}

// expanded returns the value of a key at the top with values for its templates. Stages are expanded one
// by one.
func (r *reader) expanded(n *yamldoc.Node) *yamldoc.Node {
	if !templated(n) {
		return n
	}
	return r.expander("", nil, nil).Tree(n)
}

// expandEntries gives the variables of environments their values. What decides who may deploy what must
// say it as it stands.
func (r *reader) expandEntries(n *yamldoc.Node) *yamldoc.Node {
	next := *n
	next.Pairs = nil
	for _, e := range n.Pairs {
		e.Value = r.expandEntry(e)
		next.Pairs = append(next.Pairs, e)
	}
	return &next
}

// expandEntry expands the values of an environment's variables.
func (r *reader) expandEntry(e yamldoc.Pair) *yamldoc.Node {
	next := *e.Value
	next.Pairs = nil
	for _, f := range e.Value.Pairs {
		switch {
		case f.Key == "env" && templated(f.Value):
			f.Value = r.expander("environment "+e.Key, nil, nil).Tree(f.Value)
		case f.Key != "env":
			r.refuse(f.Value, "environment "+e.Key+": "+f.Key, "what decides about deployments must be readable as it stands")
		}
		next.Pairs = append(next.Pairs, f)
	}
	return &next
}

// refuse reports templates where there must be none.
func (r *reader) refuse(n *yamldoc.Node, what, why string) {
	if n.Kind >= yamldoc.Source && template.Has(n.Value) {
		e := r.fault(n, "%s: ${} is not allowed here: %s", what, why)
		r.shared.unknown[e.Place] = append(r.shared.unknown[e.Place], e)
	}
	for _, it := range n.Items {
		r.refuse(it, what, why)
	}
	for _, p := range n.Pairs {
		r.refuse(p.At, what, why)
		r.refuse(p.Value, what, why)
	}
}
