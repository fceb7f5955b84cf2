package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// maxStages bounds what foreach and matrix make of a file: five lists of ten are within it.
const maxStages = 100_000

// item is one of those for which a group has a stage.
type item struct {
	name string        // behind stage@
	at   *yamldoc.Node // of a fault about the name
	own  map[string]template.Value
}

// define reads one pair of stages:, which is a stage or a group of them.
func (r *reader) define(p *Project, s yamldoc.Pair) {
	foreach, matrix, do := s.Value.Get("foreach"), s.Value.Get("matrix"), s.Value.Get("do")
	switch {
	case foreach != nil:
		r.group(p, s, do, r.settled(func() []item { return r.foreach(s, foreach, do) }))
	case matrix != nil:
		body := *s.Value
		body.Pairs = rest(s.Value, "matrix")
		if do != nil {
			_ = r.fault(do, "%s: matrix has no do", r.prefix+s.Key).Hinted("write the keys of the stage beside matrix")
			return
		}
		r.group(p, s, &body, r.settled(func() []item { return r.matrix(s, matrix) }))
	case do != nil:
		_ = r.fault(do, "%s: do needs foreach", r.prefix+s.Key).Hinted("add foreach: [ITEM, ...], or write the keys of the stage without do")
	default:
		r.one(p, s, "", nil)
	}
}

// settled returns the items of a group. With a fault its stages are not known, so nobody is told that
// there is no such stage.
func (r *reader) settled(items func() []item) []item {
	before := len(r.faults)
	all := items()
	if len(r.faults) > before {
		r.blind = true
	}
	return all
}

// rest returns the pairs of a map but one.
func rest(m *yamldoc.Node, key string) (others []yamldoc.Pair) {
	for _, p := range m.Pairs {
		if p.Key != key {
			others = append(others, p)
		}
	}
	return others
}

// foreach returns the items of a foreach, which is a list, a map, or a name of one.
func (r *reader) foreach(s yamldoc.Pair, n, do *yamldoc.Node) (all []item) {
	name := r.prefix + s.Key
	for _, f := range s.Value.Pairs {
		if f.Key != "foreach" && f.Key != "do" {
			_ = r.fault(f.At, "%s: %s must be inside do", name, f.Key).Hinted("a stage with foreach has no other keys than foreach and do")
		}
	}
	if do == nil {
		_ = r.fault(s.At, "%s: foreach needs do", name).Hinted("write the keys of the stage below do:")
		return nil
	}
	n = r.expander(name, nil, nil).Tree(n)
	var one namer
	switch n.Kind {
	case yamldoc.Map:
		for _, p := range n.Pairs {
			one.add(p.Key, p.At, map[string]template.Value{"item": {Node: p.Value}, "key": {Node: p.At}})
		}
	case yamldoc.List:
		one.numbered = composite(n)
		for i, it := range n.Items {
			text, ok := strconv.Itoa(i), true
			if !one.numbered {
				text, ok = r.nameOf(name, it, "foreach")
			}
			if ok {
				one.add(text, it, map[string]template.Value{"item": {Node: it}})
			}
		}
	default:
		r.fault(n, "%s: foreach: must be a list or a map, not %s", name, shown(n))
	}
	return one.items
}

// namer collects items, of those with one name the last.
type namer struct {
	items    []item
	numbered bool
	index    map[string]int
}

func (c *namer) add(name string, at *yamldoc.Node, own map[string]template.Value) {
	if c.index == nil {
		c.index = map[string]int{}
	}
	if i, twice := c.index[name]; twice {
		c.items[i].own = own
		return
	}
	c.index[name] = len(c.items)
	c.items = append(c.items, item{name, at, own})
}

// composite reports whether a list has a list or a map in it: then its items are numbered.
func composite(n *yamldoc.Node) bool {
	for _, it := range n.Items {
		if it.Kind == yamldoc.List || it.Kind == yamldoc.Map {
			return true
		}
	}
	return false
}

// nameOf returns the text of an item, which becomes a part of a stage's name.
func (r *reader) nameOf(stage string, n *yamldoc.Node, what string) (string, bool) {
	switch n.Kind {
	case yamldoc.Null:
		r.fault(n, "%s: %s: an item is null", stage, what)
		return "", false
	case yamldoc.Bool:
		return strings.ToLower(n.Value), true
	}
	return n.Value, true
}

// matrix returns the items of a matrix: one for each way to take an item of every list.
func (r *reader) matrix(s yamldoc.Pair, n *yamldoc.Node) (all []item) {
	name := r.prefix + s.Key
	before := len(r.faults)
	n = r.expander(name, nil, nil).Tree(n)
	if n.Kind != yamldoc.Map || len(n.Pairs) == 0 {
		_ = r.fault(n, "%s: matrix: must be a map of lists, not %s", name, shown(n)).Hinted("write matrix: {os: [linux, darwin], arch: [amd64, arm64]}")
		return nil
	}
	total := 1
	for _, p := range n.Pairs {
		if p.Value.Kind != yamldoc.List {
			_ = r.fault(p.Value, "%s: matrix: %s must be a list, not %s", name, p.Key, shown(p.Value)).Hinted("write %s: [%s]", p.Key, p.Value.Value)
			continue
		}
		if total *= len(p.Value.Items); total > maxStages {
			r.tooMany(n, name)
			return nil
		}
	}
	if len(r.faults) > before {
		return nil
	}
	texts := make([][]string, len(n.Pairs))
	for i, p := range n.Pairs {
		for j, it := range p.Value.Items {
			text, ok := p.Key+strconv.Itoa(j), true
			if it.Kind != yamldoc.List && it.Kind != yamldoc.Map {
				text, ok = r.nameOf(name, it, "matrix: "+p.Key)
			}
			if !ok {
				return nil
			}
			texts[i] = append(texts[i], text)
		}
	}
	return r.combined(name, n, texts, total)
}

// combined returns the items of a matrix whose lists have no faults. The last list changes fastest.
func (r *reader) combined(name string, n *yamldoc.Node, texts [][]string, total int) (all []item) {
	one := namer{}
	places := map[string]string{} // what an item's name was made of
	for k := range total {
		at := make([]int, len(texts))
		for i, rest := len(texts)-1, k; i >= 0; i-- {
			at[i], rest = rest%len(texts[i]), rest/len(texts[i])
		}
		value := &yamldoc.Node{Kind: yamldoc.Map, Line: n.Line, Col: n.Col, Pairs: make([]yamldoc.Pair, len(at))}
		parts := make([]string, len(at))
		for i, p := range n.Pairs {
			parts[i] = texts[i][at[i]]
			value.Pairs[i] = yamldoc.Pair{Key: p.Key, At: p.At, Value: p.Value.Items[at[i]]}
		}
		text, exact := strings.Join(parts, "-"), strings.Join(parts, "\x00")
		if was, twice := places[text]; twice && was != exact {
			_ = r.fault(n, "%s: matrix: two combinations have the name %s@%s", name, name, text).Hinted("write the items without -, or as maps, which are numbered")
			return nil
		}
		places[text] = exact
		key := &yamldoc.Node{Kind: yamldoc.String, Line: n.Line, Col: n.Col, Value: text}
		one.add(text, n, map[string]template.Value{"item": {Node: value}, "key": {Node: key}})
	}
	return one.items
}

// tooMany reports a group that makes more stages than can be meant.
func (r *reader) tooMany(n *yamldoc.Node, name string) {
	r.fault(n, "%s: foreach and matrix make more than %d stages", name, maxStages)
}

// group reads the stage of each item. All have the same text, so of the faults those of the first
// item that has some are told.
func (r *reader) group(p *Project, s yamldoc.Pair, body *yamldoc.Node, items []item) {
	if r.shared.stages += len(items); r.shared.stages > maxStages {
		r.tooMany(s.At, r.prefix+s.Key)
		return
	}
	r.generated = true
	defer func() { r.generated = false }()
	before := len(r.faults)
	for i, it := range items {
		now := len(r.faults)
		if i == 0 {
			r.hides(s, it)
		}
		full := s.Key + "@" + it.name
		if !generatedName.MatchString(full) {
			_ = r.fault(it.at, "%s: item %q cannot be part of a stage's name; use letters, digits and _.@/=,+-, up to %d characters in all", r.prefix+s.Key, it.name, maxName).
				Hinted("give it a name: foreach: {NAME: %s}", yamldoc.Quote(it.name))
		} else {
			r.one(p, yamldoc.Pair{Key: full, At: s.At, Value: body}, r.prefix+s.Key, r.names().With(it.own))
		}
		if now > before {
			r.faults = r.faults[:now]
		}
	}
}

// hides notes the names of vars that those of an item hide.
func (r *reader) hides(s yamldoc.Pair, it item) {
	for _, name := range []string{"item", "key"} {
		_, sets := it.own[name]
		if v, hidden := r.names().Value(name); sets && hidden {
			r.shared.notes = append(r.shared.notes, fmt.Sprintf("%s: stage %s: %s is the %s of the foreach or matrix, not the variable at %s", s.At.Place(r.file), r.prefix+s.Key, name, name, v.From))
		}
	}
}

// one reads one stage with what its templates name; scope is nil where that is only what the file has.
func (r *reader) one(p *Project, s yamldoc.Pair, group string, scope *template.Scope) {
	if !r.free(s) {
		return
	}
	if s.Value.Kind == yamldoc.Map && (scope != nil || templated(s.Value)) {
		s.Value, scope = r.expand(r.prefix+s.Key, s.Value, scope)
	}
	if st, ok := r.stage(s, scope); ok {
		st.Group = group
		p.Stages = append(p.Stages, st)
	}
}
