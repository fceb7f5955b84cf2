package spec

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/yamldoc"
)

// draft is the text of a pipe.yaml that is being edited. A YAML writer would reformat the file
// and lose its comments, so an edit inserts or removes text at the places of nodes, and leaves
// all other bytes as they are. Each edit returns the new text; false says that the file's form
// leaves no place for it.
//
// An edit knows the usual forms of YAML, not all of them. So whoever uses it asks says of the
// result whether it is what was meant.
type draft struct {
	text  string
	root  *yamldoc.Node
	lines []int  // where each line begins, the first of them behind a byte order mark
	eol   string // what ends a line in this file
}

// newDraft reads the places of a text's nodes. The text has been parsed without faults.
func newDraft(text string) (*draft, error) {
	root, err := yamldoc.Parse(FileName, []byte(text), yamldoc.Options{})
	if err != nil {
		return nil, err
	}
	d := &draft{text: text, root: root, eol: "\n"}
	if first, _, _ := strings.Cut(text, "\n"); strings.HasSuffix(first, "\r") {
		d.eol = "\r\n"
	}
	at := len(text) - len(strings.TrimPrefix(text, "\uFEFF"))
	d.lines = append(d.lines, at)
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		at += size
		switch r {
		case '\r':
			if !strings.HasPrefix(text[at:], "\n") {
				d.lines = append(d.lines, at)
			}
		case '\n', 0x85, 0x2028, 0x2029: // the parser counts the breaks of YAML 1.1
			d.lines = append(d.lines, at)
		}
	}
	return d, nil
}

// says reports whether a text has the meaning of want, down to every value.
func says(text string, want *yamldoc.Node) bool {
	got, err := yamldoc.Parse(FileName, []byte(text), yamldoc.Options{})
	return err == nil && got.Canonical() == want.Canonical()
}

// with returns a copy of n in which the value at the end of a path of keys is another one, or
// with nil is gone. What it does not change is shared with n.
func with(n *yamldoc.Node, value *yamldoc.Node, path ...string) *yamldoc.Node {
	next := *n
	next.Pairs = nil
	found := false
	for _, p := range n.Pairs {
		if p.Key == path[0] {
			found = true
			switch {
			case len(path) > 1:
				p.Value = with(p.Value, value, path[1:]...)
			case value == nil:
				continue
			default:
				p.Value = value
			}
		}
		next.Pairs = append(next.Pairs, p)
	}
	if !found && value != nil {
		next.Pairs = append(next.Pairs, yamldoc.Pair{Key: path[0], At: &yamldoc.Node{Kind: yamldoc.String, Value: path[0]}, Value: value})
	}
	return &next
}

// pair returns the pair of a map with the key, and its number; -1 when there is none.
func pair(m *yamldoc.Node, key string) (yamldoc.Pair, int) {
	i := slices.IndexFunc(m.Pairs, func(p yamldoc.Pair) bool { return p.Key == key })
	if i < 0 {
		return yamldoc.Pair{}, i
	}
	return m.Pairs[i], i
}

// offset returns where a node begins. The parser counts columns in characters.
func (d *draft) offset(n *yamldoc.Node) int {
	at := d.lines[n.Line-1]
	for range n.Col - 1 {
		_, size := utf8.DecodeRuneInString(d.text[at:])
		at += size
	}
	return at
}

// after returns where the line with this number ends, its break included.
func (d *draft) after(line int) int {
	if line < len(d.lines) {
		return d.lines[line]
	}
	return len(d.text)
}

// line returns the text of a line, without its break.
func (d *draft) line(n int) string {
	return strings.TrimRight(d.text[d.lines[n-1]:d.after(n)], "\r\n")
}

// replaced returns the text with other bytes between two places.
func (d *draft) replaced(from, to int, with string) string { return d.text[:from] + with + d.text[to:] }

// inserted returns the text with one more line behind a line. What stands there may be the end of
// a file without a line break.
func (d *draft) inserted(line int, what string) string {
	at := d.after(line)
	if before := d.text[:at]; before != "" && !strings.HasSuffix(before, "\n") && !strings.HasSuffix(before, "\r") {
		return before + d.eol + what + d.text[at:]
	}
	return d.replaced(at, at, what+d.eol)
}

// isFlow reports whether a list or map is written with brackets, as all of JSON is.
func (d *draft) isFlow(n *yamldoc.Node) bool {
	at := d.offset(n)
	return at < len(d.text) && (d.text[at] == '{' || d.text[at] == '[')
}

// indent returns the column, from 0, in which a line's text begins.
func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// last returns the last line of what begins in a line as an element of a block: what follows
// and is indented deeper belongs to it.
func (d *draft) last(line int) int {
	depth, last := indent(d.line(line)), line
	for n := line + 1; n <= len(d.lines); n++ {
		text := strings.TrimSpace(d.line(n))
		deeper := indent(d.line(n)) > depth
		if text != "" && !deeper && !strings.HasPrefix(text, "#") {
			break
		}
		if text != "" && deeper {
			last = n
		}
	}
	return last
}

// begins reports whether an element of a block stands at the beginning of its line: a key, or
// an item behind its dash.
func (d *draft) begins(n *yamldoc.Node) bool {
	return strings.Trim(d.text[d.lines[n.Line-1]:d.offset(n)], " -") == ""
}

// addPair makes "key: value" the first pair of the map that is the value of parent.
func (d *draft) addPair(parent yamldoc.Pair, key, value string) (string, bool) {
	m := parent.Value
	if len(m.Pairs) == 0 {
		return "", false
	}
	first := m.Pairs[0].At
	if d.isFlow(m) {
		return d.addFlow(m, first, d.quoted(first, key)+": "+value), true
	}
	// Behind the parent's line: a comment above the first key stays with that key.
	prefix := d.text[d.lines[first.Line-1]:d.offset(first)]
	if strings.TrimLeft(prefix, " ") != "" || first.Line <= parent.At.Line {
		return "", false
	}
	return d.inserted(parent.At.Line, prefix+key+": "+value), true
}

// quoted returns a key in the quotes of another one: JSON stays JSON.
func (d *draft) quoted(like *yamldoc.Node, key string) string {
	if d.text[d.offset(like)] == '"' {
		return yamldoc.Quote(key)
	}
	return key
}

// addFlow makes what the first element of a list or map in brackets; first is the one that is
// there now, nil when there is none.
func (d *draft) addFlow(in, first *yamldoc.Node, what string) string {
	at := d.offset(in) + 1
	switch {
	case first == nil:
		return d.replaced(at, at, what)
	case first.Line == in.Line:
		at = d.offset(first)
	case strings.TrimLeft(d.line(in.Line)[at-d.lines[in.Line-1]:], " ") == "":
		return d.replaced(at, at, what+",") // the rest has lines of its own
	}
	return d.replaced(at, at, what+", ")
}

// cutPair removes a pair from a map.
func (d *draft) cutPair(m *yamldoc.Node, i int) (string, bool) {
	p := m.Pairs[i]
	if d.isFlow(m) {
		return d.cutFlow(d.offset(p.At), d.end(p.Value))
	}
	return d.cutBlock(p.At)
}

// cutItem removes an item from a list.
func (d *draft) cutItem(l *yamldoc.Node, i int) (string, bool) {
	it := l.Items[i]
	if d.isFlow(l) {
		return d.cutFlow(d.offset(it), d.end(it))
	}
	return d.cutBlock(it)
}

// cutBlock removes the lines of an element of a block.
func (d *draft) cutBlock(n *yamldoc.Node) (string, bool) {
	if !d.begins(n) {
		return "", false
	}
	return d.replaced(d.lines[n.Line-1], d.after(d.last(n.Line)), ""), true
}

// cutFlow removes an element between brackets together with one comma, and with its line when
// nothing is left there.
func (d *draft) cutFlow(from, to int) (string, bool) {
	if to < 0 {
		return "", false
	}
	const blank = " \t\r\n"
	rest := strings.TrimLeft(d.text[to:], blank)
	if strings.HasPrefix(rest, ",") {
		to = len(d.text) - len(strings.TrimLeft(rest[1:], " \t"))
		before := strings.TrimRight(d.text[:from], " \t")
		if after := strings.TrimLeft(d.text[to:], "\r"); strings.HasPrefix(after, "\n") && strings.HasSuffix(before, "\n") {
			from, to = len(before), len(d.text)-len(after)+1
		}
		return d.replaced(from, to, ""), true
	}
	if before := strings.TrimRight(d.text[:from], blank); strings.HasSuffix(before, ",") {
		from = len(before) - 1
	}
	return d.replaced(from, to, ""), true
}

// end returns where a value in one of the usual forms ends, -1 when it has another one.
func (d *draft) end(n *yamldoc.Node) int {
	at := d.offset(n)
	if at == len(d.text) {
		return -1
	}
	switch c := d.text[at]; c {
	case '"', '\'':
		for i := at + 1; i < len(d.text); i++ {
			switch {
			case c == '"' && d.text[i] == '\\', c == '\'' && strings.HasPrefix(d.text[i:], "''"):
				i++
			case d.text[i] == c:
				return i + 1
			}
		}
		return -1
	case '{', '[':
		children := slices.Clone(n.Items)
		for _, p := range n.Pairs {
			children = append(children, p.Value)
		}
		if at++; len(children) > 0 {
			at = d.end(children[len(children)-1])
		}
		if at < 0 {
			return -1
		}
		rest := strings.TrimLeft(d.text[at:], " \t\r\n,")
		if rest == "" || rest[0] != '}' && rest[0] != ']' {
			return -1
		}
		return len(d.text) - len(rest) + 1
	}
	if !strings.HasPrefix(d.text[at:], n.Value) {
		return -1
	}
	return at + len(n.Value)
}
