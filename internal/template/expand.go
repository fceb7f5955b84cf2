package template

import (
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// maxNodes bounds what whole lists and maps become when templates take them: of a list in a list in a
// foreach there could be more than fits into memory.
const maxNodes = 10_000_000

// maxBytes bounds the text that templates become: a value of a megabyte in a matrix of a hundred thousand
// stages would fill any memory.
const maxBytes = 1 << 28

// Expander replaces templates in nodes. Nodes are never changed: what has no template is returned
// as it is, and shared.
type Expander struct {
	Names func() *Scope                          // asked when there is a template, and not before
	Env   func(name string) bool                 // an environment variable that the stage declares; may be nil
	Past  bool                                   // unknown names in scripts are the shell's, as they were before there were templates
	Fault func(n *yamldoc.Node, err *diag.Error) // gets each fault, without a place

	memory *memory
}

// memory is what expanders of one file share: each text is taken apart once, however many items of
// a foreach it is for.
type memory struct {
	texts map[source]*text
	nodes int // taken by templates so far
	bytes int // of texts, likewise
}

// spend counts a text that a template becomes. It is an error where all together are too much.
func (m *memory) spend(text string) *diag.Error {
	if m.bytes += len(text); m.bytes > maxBytes {
		return diag.New(diag.Usage, "the templates make more than %d bytes of text", maxBytes)
	}
	return nil
}

// source is a text, and how it is read.
type source struct {
	text        string
	shell, bash bool
}

// text is one that was taken apart.
type text struct {
	pieces []piece
	slots  []slot // of a script: for each piece that is a ref, as long as no value becomes a part of the text
	err    error
}

// NewExpander returns an expander without names.
func NewExpander(fault func(*yamldoc.Node, *diag.Error)) *Expander {
	return &Expander{Fault: fault, memory: &memory{texts: map[source]*text{}}}
}

// In returns an expander for other names.
func (x *Expander) In(s *Scope) *Expander {
	in := *x
	in.Names = func() *Scope { return s }
	return &in
}

// Tree returns a node with values for the templates in all its texts and keys. A text that is one
// template alone becomes what the name stands for, be it a list.
func (x *Expander) Tree(n *yamldoc.Node) *yamldoc.Node {
	switch n.Kind {
	case yamldoc.Null, yamldoc.Bool, yamldoc.Number:
		return n
	case yamldoc.List:
		return x.items(n, x.Tree)
	case yamldoc.Map:
		return x.pairs(n)
	}
	if !Has(n.Value) {
		return n
	}
	t := x.taken(source{text: n.Value})
	if t.err != nil {
		x.fault(n, t.err)
		return n
	}
	if len(t.pieces) == 1 && t.pieces[0].ref != nil {
		v, err := x.Names().Find(t.pieces[0].ref)
		if err != nil {
			x.unknown(n, t.pieces[0], err, false)
			return n
		}
		return x.moved(v, n)
	}
	return x.joined(n, t)
}

// Script returns a shell's script, or a list of them, with values for the templates.
func (x *Expander) Script(n *yamldoc.Node, bash bool) *yamldoc.Node {
	switch n.Kind {
	case yamldoc.List:
		return x.items(n, func(it *yamldoc.Node) *yamldoc.Node { return x.Script(it, bash) })
	case yamldoc.String, yamldoc.Source:
		if Has(n.Value) {
			return x.script(n, bash)
		}
	}
	return n
}

// items returns a list whose items were replaced.
func (x *Expander) items(n *yamldoc.Node, replace func(*yamldoc.Node) *yamldoc.Node) *yamldoc.Node {
	next := n
	for i, it := range n.Items {
		to := replace(it)
		if to == it {
			continue
		}
		if next == n {
			next = &yamldoc.Node{Kind: n.Kind, Line: n.Line, Col: n.Col, Items: append([]*yamldoc.Node(nil), n.Items...)}
		}
		next.Items[i] = to
	}
	return next
}

// pairs returns a map whose keys and values were replaced.
func (x *Expander) pairs(n *yamldoc.Node) *yamldoc.Node {
	next := n
	for i, p := range n.Pairs {
		at, value := p.At, x.Tree(p.Value)
		if Has(p.Key) {
			at = x.Key(p.At)
		}
		if at == p.At && value == p.Value {
			continue
		}
		if next == n {
			next = &yamldoc.Node{Kind: n.Kind, Line: n.Line, Col: n.Col, Pairs: append([]yamldoc.Pair(nil), n.Pairs...)}
		}
		next.Pairs[i] = yamldoc.Pair{Key: at.Value, At: at, Value: value}
	}
	if next != n {
		x.once(next)
	}
	return next
}

// Key returns a map's key with values for its templates.
func (x *Expander) Key(n *yamldoc.Node) *yamldoc.Node {
	t := x.taken(source{text: n.Value})
	if t.err != nil {
		x.fault(n, t.err)
		return n
	}
	return x.joined(n, t)
}

// once reports keys that templates have made equal.
func (x *Expander) once(n *yamldoc.Node) {
	seen := make(map[string]bool, len(n.Pairs))
	for _, p := range n.Pairs {
		if seen[p.Key] {
			x.fault(p.At, diag.New(diag.Usage, "duplicate key %q", p.Key))
		}
		seen[p.Key] = true
	}
}

// moved returns a value at the place of a template.
func (x *Expander) moved(v, at *yamldoc.Node) *yamldoc.Node {
	if x.memory.nodes++; x.memory.nodes >= maxNodes {
		if x.memory.nodes == maxNodes {
			x.fault(at, diag.New(diag.Usage, "the templates take more than %d values", maxNodes))
		}
		return at
	}
	if err := x.memory.spend(v.Value); err != nil {
		x.fault(at, err)
		x.memory.nodes = maxNodes // the rest needs no fault
		return at
	}
	next := &yamldoc.Node{Kind: v.Kind, Line: at.Line, Col: at.Col, Value: v.Value}
	if v.Kind == yamldoc.Number { // as it would be if it stood here
		next.Kind = yamldoc.Source
	}
	for _, it := range v.Items {
		next.Items = append(next.Items, x.moved(it, at))
	}
	for _, p := range v.Pairs {
		next.Pairs = append(next.Pairs, yamldoc.Pair{Key: p.Key, At: x.moved(p.At, at), Value: x.moved(p.Value, at)})
	}
	return next
}

// joined returns the text with a value for each template.
func (x *Expander) joined(n *yamldoc.Node, t *text) *yamldoc.Node {
	var b strings.Builder
	ok := true
	for _, p := range t.pieces {
		if p.ref == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := x.Names().Find(p.ref)
		if err != nil {
			x.unknown(n, p, err, false)
			ok = false
			continue
		}
		s, fault := Text(p.ref, v)
		if fault == nil {
			fault = x.memory.spend(s)
		}
		if fault != nil {
			x.fault(n, fault)
			return n
		}
		b.WriteString(s)
	}
	if !ok {
		return n
	}
	return &yamldoc.Node{Kind: yamldoc.String, Line: n.Line, Col: n.Col, Value: b.String()}
}

// Text returns the text that a value puts into a longer one, as it is written. The error is of kind Usage.
func Text(ref Ref, n *yamldoc.Node) (string, *diag.Error) {
	switch n.Kind {
	case yamldoc.Null:
		return "", diag.New(diag.Usage, "%s is null, which has no text", ref).Hinted(`give it a value; "" is the empty text`)
	case yamldoc.List, yamldoc.Map:
		return "", diag.New(diag.Usage, "%s is %s, which cannot be part of a text", ref, n.Kind)
	case yamldoc.Bool:
		return strings.ToLower(n.Value), nil
	}
	return n.Value, nil
}

// taken returns a text that was taken apart, from memory when it was before.
func (x *Expander) taken(s source) *text {
	t := x.memory.texts[s]
	if t == nil {
		t = &text{}
		if t.pieces, t.err = parse(s.text, s.shell); s.shell && t.err == nil {
			t.slots = slots(t.pieces, s.bash)
		}
		x.memory.texts[s] = t
	}
	return t
}

// fault hands on all that an error has.
func (x *Expander) fault(n *yamldoc.Node, err error) {
	for _, e := range diag.All(err) {
		x.Fault(n, e)
	}
}

// unknown reports a name that stands for nothing, and how to mean the shell's own.
func (x *Expander) unknown(n *yamldoc.Node, p piece, err error, shell bool) {
	for _, e := range diag.All(err) {
		hint := e.Hint
		plain := len(p.ref) == 1 && !p.maybe
		switch _, known := x.Names().Value(p.ref[0]); {
		case known:
		case p.ref[0] == "item" || p.ref[0] == "key":
			hint = x.noItem(p.ref[0])
		case plain && x.Env != nil && x.Env(p.ref[0]) && shell:
			hint = p.ref[0] + " is an environment variable of the stage: write $" + p.ref[0]
		case shell && plain:
			hint = more(hint, "for the shell's own variable write $"+p.ref[0]+" or \\${"+p.ref[0]+"}")
		case shell:
			hint = more(hint, "for the shell's own write \\"+p.text)
		default:
			hint = more(hint, "for the text itself write \\"+p.text)
		}
		x.Fault(n, e.Hinted("%s", hint))
	}
}

// noItem says where item and key are.
func (x *Expander) noItem(name string) string {
	if _, ok := x.Names().Value("item"); ok && name == "key" {
		return "the items of a list have no key: write ${item}, or make it a map"
	}
	return name + " exists only in a stage with foreach or matrix"
}

// more joins two hints.
func more(hint, next string) string {
	if hint == "" {
		return next
	}
	return hint + " " + strings.ToUpper(next[:1]) + next[1:]
}
