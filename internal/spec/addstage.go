package spec

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// AddStage returns the text of a pipe.yaml with one more stage behind the others, and all else as it is.
// With replace the stage takes the place of the one that has its name: what both say stays as it is
// written, with its comments. The text has no faults of syntax; whether the stage has faults, the caller finds out.
func AddStage(text, name string, stage *yamldoc.Node, replace bool) (string, error) {
	d, err := newDraft(text)
	if err != nil {
		return "", err
	}
	stages := &yamldoc.Node{}
	if d.root.Kind == yamldoc.Map && d.root.Get("stages") != nil {
		stages = d.root.Get("stages")
	}
	old, i := pair(stages, name)
	if i >= 0 && !replace {
		return "", diag.New(diag.Usage, "stage %s already exists", name).At(old.At.Place(FileName)).Hinted("-f replaces it")
	}
	if want, ok := d.meant(name, stage); ok {
		next, ok := d.putStage(stages, i, name, stage)
		if got, err := yamldoc.Parse(FileName, []byte(next), yamldoc.Options{}); ok && err == nil && got.Alike(want) {
			return next, nil
		}
	}
	one := &yamldoc.Node{Kind: yamldoc.Map, Pairs: []yamldoc.Pair{{Key: name, Value: stage}}}
	line := one.Flow(false)
	return "", diag.New(diag.Usage, "cannot add stage %s in the present form of %s", name, FileName).At(FileName).
		Hinted("add it by hand below stages: %s", line[1:len(line)-1])
}

// meant is what the text has to say afterwards.
func (d *draft) meant(name string, stage *yamldoc.Node) (*yamldoc.Node, bool) {
	root := d.root
	switch root.Kind {
	case yamldoc.Map:
	case yamldoc.Null:
		root = &yamldoc.Node{Kind: yamldoc.Map}
	default:
		return nil, false
	}
	stages := &yamldoc.Node{Kind: yamldoc.Map}
	if s := root.Get("stages"); s != nil && s.Kind == yamldoc.Map {
		stages = s
	} else if s != nil && s.Kind != yamldoc.Null {
		return nil, false
	}
	return with(root, with(stages, stage, name), "stages"), true
}

// putStage writes the stage; i is the number of the one that it replaces, -1 when there is none.
func (d *draft) putStage(stages *yamldoc.Node, i int, name string, stage *yamldoc.Node) (string, bool) {
	one := &yamldoc.Node{Kind: yamldoc.Map, Pairs: []yamldoc.Pair{{Key: name, Value: stage}}}
	key, declared := pair(d.root, "stages")
	switch {
	case i >= 0:
		return d.replaceStage(stages, i, one)
	case d.root.Kind == yamldoc.Null:
		return d.atEnd("stages:" + d.eol + one.Block(2, d.eol)), true
	case declared < 0 && d.isFlow(d.root):
		all := &yamldoc.Node{Kind: yamldoc.Map, Pairs: []yamldoc.Pair{{Key: "stages", Value: one}}}
		return d.appendFlow(d.root, all)
	case declared < 0:
		return d.atEnd(d.eol + "stages:" + d.eol + one.Block(2, d.eol)), true
	case d.isFlow(d.root) && len(stages.Pairs) == 0:
		end := d.end(key.Value)
		return d.text[:d.offset(key.Value)] + one.Flow(true) + d.text[max(end, 0):], end >= 0
	case len(stages.Pairs) == 0:
		return d.firstStage(key, one)
	case d.isFlow(stages):
		return d.appendFlow(stages, one)
	}
	return d.appendBlock(stages, one)
}

// atEnd returns the text with lines behind its last one.
func (d *draft) atEnd(what string) string {
	if d.text != "" && !strings.HasSuffix(d.text, "\n") && !strings.HasSuffix(d.text, "\r") {
		return d.text + d.eol + what
	}
	return d.text + what
}

// firstStage writes a stage where there was nothing, or {}; a comment behind the key stays there.
func (d *draft) firstStage(key yamldoc.Pair, one *yamldoc.Node) (string, bool) {
	next := d
	if key.Value.Kind == yamldoc.Map {
		end := d.end(key.Value)
		if end < 0 {
			return "", false
		}
		from := len(strings.TrimRight(d.text[:d.offset(key.Value)], " \t"))
		cut, err := newDraft(d.replaced(from, end, ""))
		if err != nil {
			return "", false
		}
		next = cut
	}
	return next.inserted(key.At.Line, strings.TrimSuffix(one.Block(2, d.eol), d.eol)), true
}

// appendFlow writes pairs behind the last one of a map in brackets, in a line of their own if that one has.
func (d *draft) appendFlow(m, pairs *yamldoc.Node) (string, bool) {
	asJSON := len(m.Pairs) > 0 && d.text[d.offset(m.Pairs[0].At)] == '"'
	flow := pairs.Flow(asJSON)
	what := flow[1 : len(flow)-1]
	if len(m.Pairs) == 0 {
		at := d.offset(m) + 1
		return d.replaced(at, at, what), true
	}
	last := m.Pairs[len(m.Pairs)-1]
	end := d.end(last.Value)
	if end < 0 {
		return "", false
	}
	if line := d.line(last.At.Line); d.begins(last.At) && last.At.Line > m.Line {
		what = d.eol + line[:len(line)-len(strings.TrimLeft(line, " \t"))] + what
		rest := d.text[end : end+max(0, strings.IndexAny(d.text[end:], "\r\n"))]
		if comment := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), ",")); strings.HasPrefix(comment, "#") { // of that line
			return d.replaced(end, end+len(rest), ", "+comment+what), true
		}
		return d.replaced(end, end, ","+what), true
	}
	return d.replaced(end, end, ", "+what), true
}

// appendBlock writes a stage behind the last one, with an empty line between them where the others have one.
func (d *draft) appendBlock(stages, one *yamldoc.Node) (string, bool) {
	n := len(stages.Pairs)
	last := stages.Pairs[n-1].At
	if !d.begins(last) || d.line(last.Line)[:indent(d.line(last.Line))] != strings.Repeat(" ", last.Col-1) {
		return "", false
	}
	block := strings.TrimSuffix(one.Block(last.Col-1, d.eol), d.eol)
	if n > 1 && slices.ContainsFunc(d.between(stages.Pairs[n-2].At.Line, last.Line), func(l string) bool { return strings.TrimSpace(l) == "" }) {
		block = d.eol + block
	}
	return d.inserted(d.last(last.Line), block), true
}

// between returns the lines from one up to another.
func (d *draft) between(from, to int) (lines []string) {
	for n := from; n < to; n++ {
		lines = append(lines, d.line(n))
	}
	return lines
}

// replaceStage writes a stage over another one. In a block, keys that say the same stay as they are.
func (d *draft) replaceStage(stages *yamldoc.Node, i int, one *yamldoc.Node) (string, bool) {
	old, stage := stages.Pairs[i], one.Pairs[0].Value
	if d.isFlow(stages) || d.isFlow(old.Value) && old.Value.Line == old.At.Line {
		end := d.end(old.Value)
		if end < 0 {
			return "", false
		}
		asJSON := d.text[d.offset(old.At)] == '"'
		return d.replaced(d.offset(old.Value), end, stage.Flow(asJSON)), true
	}
	if len(old.Value.Pairs) == 0 || d.isFlow(old.Value) || !d.begins(old.Value.Pairs[0].At) || old.Value.Pairs[0].At.Line == old.At.Line {
		return "", false
	}
	depth := old.Value.Pairs[0].At.Col - 1
	rest := *stage
	rest.Pairs = slices.Clone(stage.Pairs)
	var b strings.Builder
	from := old.At.Line + 1
	for _, p := range old.Value.Pairs {
		end := d.last(p.At.Line)
		if n, at := pair(&rest, p.Key); at >= 0 {
			b.WriteString(d.text[d.lines[from-1]:d.lines[p.At.Line-1]]) // comments above
			if n.Value.Alike(p.Value) {
				b.WriteString(d.text[d.lines[p.At.Line-1]:d.after(end)])
			} else {
				b.WriteString((&yamldoc.Node{Kind: yamldoc.Map, Pairs: []yamldoc.Pair{n}}).Block(depth, d.eol))
			}
			rest.Pairs = slices.Delete(rest.Pairs, at, at+1)
		}
		from = end + 1
	}
	kept := b.String()
	if kept != "" && !strings.HasSuffix(kept, "\n") {
		kept += d.eol
	}
	end := d.after(from - 1)
	return d.text[:d.lines[old.At.Line]] + kept + rest.Block(depth, d.eol) + d.text[end:], true
}
