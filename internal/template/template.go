// Package template gives names to values, and puts values where a text names them.
//
// A Ref is a name as it stands in ${a.b[0]}. A Scope says what names stand for: the vars of a
// pipe.yaml, on them those of a stage, on them the item of a foreach. Values are nodes of the
// documents that they come from, uninterpreted, so that 1.0 stays 1.0.
package template

import (
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

// Find returns what a ref stands for. The error is of kind Usage and names the nearest name.
func (s *Scope) Find(r Ref) (*yamldoc.Node, error) {
	for at := s; at != nil; at = at.outer {
		v, ok := at.own[r[0]]
		if !ok {
			continue
		}
		n := v.Node
		for i := range r[1:] {
			if n = part(n, r[i+1]); n == nil {
				return nil, diag.New(diag.Usage, "%s has no %q", r[:i+1], r[i+1]).At(v.From)
			}
		}
		return n, nil
	}
	return nil, diag.New(diag.Usage, "no variable named %q", r[0])
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
