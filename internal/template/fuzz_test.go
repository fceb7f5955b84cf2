package template

import (
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// FuzzTemplate: no text and no value break the reader, and no value changes what a shell makes of the
// text around it: the lexer, which follows the text with the quoted value in it, ends where it does
// without.
func FuzzTemplate(f *testing.F) {
	for _, script := range contexts {
		f.Add(script, "it's $(x) `y` \\ \"z\"\nEOF\n", true)
		f.Add(script, "", false)
	}
	for _, script := range []string{"${x", "\\${x}${x}$${x}", "${x.y[0] | raw}${x-y}${ x }", "$((${x}))", "<<${x}", "<<A <<'B'\n${x}\nA\n${x}\nB\n${x}", "`${x}`", "$'${x}'", "case ${x} in ${x}) ${x};; esac"} {
		f.Add(script, "a", true)
	}
	f.Fuzz(func(t *testing.T, script, value string, bash bool) {
		if strings.ContainsRune(value, 0) {
			return
		}
		tree(script, value)
		next, fault := expand(script, value, bash)
		pieces, err := parse(script, true)
		if fault != nil || err != nil || slices.ContainsFunc(pieces, func(p piece) bool { return p.raw || p.maybe || len(p.ref) > 1 }) {
			return
		}
		without, with := newLexer(bash), newLexer(bash)
		for _, p := range pieces {
			if p.ref == nil {
				without.feed(p.text)
			} else {
				without.value()
			}
		}
		if !Has(script) {
			next = script
		}
		with.feed(next)
		if without.top().where == lost || with.top().where == lost {
			return
		}
		kinds := func(l *lexer) (all []where) {
			for _, f := range l.stack {
				all = append(all, f.where)
			}
			return all
		}
		if !slices.Equal(kinds(without), kinds(with)) {
			t.Errorf("%q with %q is %q: ends in %v, not %v", script, value, next, kinds(with), kinds(without))
		}
	})
}

// tree expands a text that no shell reads.
func tree(text, value string) {
	x := NewExpander(func(*yamldoc.Node, *diag.Error) {})
	x = x.In((*Scope)(nil).With(map[string]Value{"x": {Node: &yamldoc.Node{Kind: yamldoc.String, Value: value}}}))
	n := &yamldoc.Node{Kind: yamldoc.String, Value: text}
	x.Tree(n)
	x.Key(n)
}
