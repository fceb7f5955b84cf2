package template

import (
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// slots returns the place of each ref.
func slots(pieces []piece, bash bool) []slot {
	l, all := newLexer(bash), make([]slot, len(pieces))
	for i, p := range pieces {
		if p.ref == nil {
			l.feed(p.text)
			continue
		}
		rest := ""
		if i+1 < len(pieces) && pieces[i+1].ref == nil {
			rest = pieces[i+1].text
		}
		all[i] = l.slot(rest)
		l.value()
	}
	return all
}

// inDoc is a value in a here-document.
type inDoc struct {
	frame
	from, to int
	ref      Ref
}

// script returns a script with a quoted value for each template.
func (x *Expander) script(n *yamldoc.Node, bash bool) *yamldoc.Node {
	t := x.taken(source{n.Value, true, bash})
	if t.err != nil {
		x.fault(n, t.err)
		return n
	}
	pieces, same, ok := x.values(n, t.pieces)
	if !ok {
		return n
	}
	places := t.slots
	if !same {
		places = slots(pieces, bash)
	}
	var b strings.Builder
	var docs []inDoc
	for i, p := range pieces {
		if p.ref == nil {
			b.WriteString(p.text)
			continue
		}
		s, err := places[i].write(x.memory, p.ref, p.value)
		if err != nil {
			err.What = p.text + ": " + err.What
			x.Fault(n, err)
			return n
		}
		for _, d := range places[i].docs {
			docs = append(docs, inDoc{d, b.Len(), b.Len() + len(s), p.ref})
		}
		b.WriteString(s)
	}
	next := &yamldoc.Node{Kind: yamldoc.String, Line: n.Line, Col: n.Col, Value: b.String()}
	looked := map[string]int{} // up to where, for each word that ends one: a line may have many values
	for _, d := range docs {
		end := d.close
		if d.tabs {
			end = "\t" + end
		}
		if d.from < looked[end] {
			continue
		}
		ends := false
		if looked[end], ends = d.ended(next.Value); ends {
			x.Fault(n, diag.New(diag.Usage, "${%s}: the value would end the here-document, which ends at %s", d.ref, d.close).Hinted("choose another word in place of %s", d.close))
			return n
		}
	}
	return next
}

// values returns the pieces with what the refs stand for. Raw values, and names that are the shell's,
// become a part of the text; then same is false.
func (x *Expander) values(n *yamldoc.Node, pieces []piece) (next []piece, same, ok bool) {
	same, ok = true, true
	next = make([]piece, 0, len(pieces))
	plain := func(text string) {
		if last := len(next) - 1; last >= 0 && next[last].ref == nil {
			next[last].text += text // so that the lexer sees the text whole
			return
		}
		next = append(next, piece{text: text})
	}
	for _, p := range pieces {
		if p.ref == nil {
			plain(p.text)
			continue
		}
		v, err := x.Names().Find(p.ref)
		if err != nil {
			_, known := x.Names().Value(p.ref[0])
			if !known && (p.maybe || x.Past) {
				plain(p.text)
				same = false
				continue
			}
			x.unknown(n, p, err, true)
			ok = false
			continue
		}
		if !p.raw {
			p.value = v
			next = append(next, p)
			continue
		}
		s, fault := Text(p.ref, v)
		if fault == nil {
			fault = x.memory.spend(s)
		}
		if fault != nil {
			x.Fault(n, fault)
			return nil, false, false
		}
		plain(s)
		same = false
	}
	return next, same, ok
}

// write returns the text that stands for a value at a place.
func (s *slot) write(m *memory, ref Ref, v *yamldoc.Node) (string, *diag.Error) {
	if v.Kind == yamldoc.List || v.Kind == yamldoc.Map {
		return s.list(m, ref, v)
	}
	text, err := Text(ref, v)
	if err == nil {
		err = m.spend(text)
	}
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(text, 0) {
		return "", diag.New(diag.Usage, "the value contains NUL")
	}
	return s.quote(text)
}

// ended reports whether a line that the value is a part of would end the here-document. Until the end of
// that line there is nothing more to find.
func (d *inDoc) ended(script string) (to int, ends bool) {
	from := strings.LastIndexByte(script[:d.from], '\n') + 1
	for strings.HasSuffix(script[:from], "\\\n") {
		from = strings.LastIndexByte(script[:from-1], '\n') + 1
	}
	to = d.to
	for to < len(script) && (script[to] != '\n' || script[to-1] == '\\') {
		to++
	}
	joined := strings.ReplaceAll(script[from:to], "\\\n", "")
	for line := range strings.SplitSeq(script[from:to]+"\n"+joined, "\n") {
		if d.ends(line) || d.breaks(line) {
			return to, true
		}
	}
	return to, false
}
