package template

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// TestTextsThatTemplatesMakeAreBounded is near the bound, and has a value that is used again and again: as a text, in
// a list, in a map, as a script's words, and as it is.
func TestTextsThatTemplatesMakeAreBounded(t *testing.T) {
	long := &yamldoc.Node{Kind: yamldoc.String, Value: strings.Repeat("x", 1<<10)}
	list := &yamldoc.Node{Kind: yamldoc.List}
	flags := &yamldoc.Node{Kind: yamldoc.Map}
	for range 1 << 10 {
		list.Items = append(list.Items, long)
		flags.Pairs = append(flags.Pairs, yamldoc.Pair{Key: long.Value, At: long, Value: long})
	}
	for _, c := range []struct {
		text   string
		shell  bool
		value  *yamldoc.Node
		repeat int
	}{
		{"a${x}", false, long, 1 << 10},
		{"${x}", false, list, 1},
		{"${x}", false, flags, 1},
		{"a ${x}", true, long, 1 << 10},
		{"a ${x | raw}", true, long, 1 << 10},
		{"a ${x}", true, list, 1},
		{"a ${x}", true, flags, 1},
	} {
		var faults []*diag.Error
		x := NewExpander(func(_ *yamldoc.Node, e *diag.Error) { faults = append(faults, e) })
		x = x.In((*Scope)(nil).With(map[string]Value{"x": {Node: c.value}}))
		x.memory.bytes = maxBytes - 1<<19
		n := &yamldoc.Node{Kind: yamldoc.String, Value: c.text}
		for i := 0; i < c.repeat && len(faults) == 0; i++ {
			if c.shell {
				x.Script(n, false)
			} else {
				x.Tree(n)
			}
		}
		if len(faults) != 1 || !strings.Contains(faults[0].What, "bytes of text") {
			t.Errorf("%s of %s: %d faults: %v", c.text, c.value.Kind, len(faults), faults)
		}
	}
}
