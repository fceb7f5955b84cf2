// Package template gives names to values, and puts values where a text names them.
//
// A Ref is a name as it stands in ${a.b[0]}. A Scope says what names stand for: the vars of a
// pipe.yaml, on them those of a stage, on them the item of a foreach. Values are nodes of the
// documents that they come from, uninterpreted, so that 1.0 stays 1.0.
//
// An Expander replaces templates in nodes. In a shell's script a value is quoted for the place
// where it stands (ADR 0036): shell.go finds the place, quote.go writes the value.
package template

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Ref is a name, and the way from its value to a part of it: a.b[0] is a, b, 0.
type Ref []string

// String returns the ref with a dot before each part.
func (r Ref) String() string { return strings.Join(r, ".") }

// Scope says what names stand for. A Scope does not change once it is made; With makes another one.
type Scope struct {
	outer *Scope
	own   map[string]Value
}

// Value is what a name stands for, and where that is written.
type Value struct {
	Node *yamldoc.Node
	From string // file:line:col; empty: nowhere, as the item of a foreach
}

// With returns a scope with more names, which hide those of s. s may be nil.
func (s *Scope) With(own map[string]Value) *Scope { return &Scope{s, own} }

// Value returns what a name stands for.
func (s *Scope) Value(name string) (Value, bool) {
	for at := s; at != nil; at = at.outer {
		if v, ok := at.own[name]; ok {
			return v, true
		}
	}
	return Value{}, false
}

// Find returns what a ref stands for. The error is of kind Usage and hints at the nearest name.
func (s *Scope) Find(r Ref) (*yamldoc.Node, error) {
	v, ok := s.Value(r[0])
	if !ok {
		return nil, near(diag.New(diag.Usage, "no variable named %q", r[0]), r.String(), s.names())
	}
	n := v.Node
	for i, key := range r[1:] {
		child := part(n, key)
		if child == nil {
			return nil, missing(n, r[:i+1], key, v.From)
		}
		n = child
	}
	return n, nil
}

// part returns the value of a map's key or a list's index, nil when there is none.
func part(n *yamldoc.Node, key string) *yamldoc.Node {
	if n.Kind != yamldoc.List {
		return n.Get(key)
	}
	if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Items) && strconv.Itoa(i) == key {
		return n.Items[i]
	}
	return nil
}

// missing is the error for a part that a value does not have.
func missing(n *yamldoc.Node, of Ref, key, from string) error {
	if from != "" {
		from = " (" + from + ")"
	}
	switch n.Kind {
	case yamldoc.Map:
		keys := make([]string, len(n.Pairs))
		for i, p := range n.Pairs {
			keys[i] = p.Key
		}
		e := diag.New(diag.Usage, "%s has no key %q%s", of, key, from)
		if best := yamldoc.Nearest(key, keys); best != "" {
			return e.Hinted("did you mean %s.%s?", of, best)
		}
		return e
	case yamldoc.List:
		return diag.New(diag.Usage, "%s has no item %q%s", of, key, from).Hinted("it has %d; the first is %s[0]", len(n.Items), of)
	}
	return diag.New(diag.Usage, "%s is %s and has no key %q%s", of, n.Kind, key, from)
}

// near hints at the name that a word was meant to be.
func near(e *diag.Error, word string, names []string) *diag.Error {
	if best := yamldoc.Nearest(word, names); best != "" {
		return e.Hinted("did you mean %s?", best)
	}
	return e
}

// maxNames is how many names are looked through for a hint.
const maxNames = 10_000

// names returns the names that are visible, and the dotted names of what is in them.
func (s *Scope) names() (all []string) {
	seen := map[string]bool{}
	for at := s; at != nil; at = at.outer {
		var own []string
		for name := range at.own {
			if !seen[name] {
				seen[name] = true
				own = append(own, name)
			}
		}
		slices.Sort(own)
		for _, name := range own {
			all = dotted(append(all, name), name, at.own[name].Node)
		}
	}
	return all
}

// dotted adds the names of the keys below a node. It stops at maxNames: what aliases expand to can
// be far larger than the file.
func dotted(all []string, prefix string, n *yamldoc.Node) []string {
	for _, p := range n.Pairs {
		if len(all) >= maxNames {
			break
		}
		name := prefix + "." + p.Key
		all = dotted(append(all, name), name, p.Value)
	}
	return all
}
