package yamldoc

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pipe-build/pipe/internal/diag"
)

// Format returns a document in the one style: two spaces for each level, lists below their key
// too, at most one empty line, one space between elements, no space at the end of a line, and a
// line break at the end of the file. What stands on which line does not change, and neither do
// comments, the order of keys, quotes, and the text of scalars. Line ends are those of the first line.
//
// The result is read again before it is returned: it has the same value, and the same tokens and
// comments in the same order, and to format it again changes nothing. Where that cannot be, and
// where the document is not valid, the error is a diag.List with places in file.
func Format(file string, data []byte) ([]byte, error) {
	root, err := Parse(file, data, Options{})
	if err != nil {
		return nil, err
	}
	text := strings.TrimPrefix(string(data), "\uFEFF")
	if at := strings.IndexAny(text, "\u0085\u2028\u2029"); at >= 0 {
		line := strings.Count(text[:at], "\n")
		return nil, diag.List{diag.New(diag.Usage, "cannot be formatted: contains a line break that only YAML 1.1 knows").At(place(file, line+1, 1)).
			Hinted("write it as an escape in double quotes")}
	}
	before, out, err := formatted(file, text)
	if err != nil {
		return nil, err
	}
	again, same, err := formatted(file, out)
	got, parsed := Parse(file, []byte(out), Options{})
	if err != nil || parsed != nil || got.Canonical() != root.Canonical() || same != out || differs(before, again) >= 0 {
		return nil, diag.List{unsafe(file, before, again)}
	}
	return []byte(string(data[:len(data)-len(text)]) + out), nil
}

// unsafe is the error for a result that does not say the same, at the first difference.
func unsafe(file string, before, after *tokens) *diag.Error {
	if at := differs(before, after); at >= 0 && at < len(before.all) {
		file = before.place(file, before.all[at].from)
	}
	return diag.New(diag.Usage, "cannot be formatted: the result would not say the same").At(file)
}

// formatted returns a text's tokens, and the text that is printed of them.
func formatted(file, text string) (*tokens, string, error) {
	var doc yaml.Node
	if err := decode(yaml.NewDecoder(bytes.NewReader([]byte(text))), &doc); err != nil {
		doc = yaml.Node{} // Parse has found no fault, so the document is empty
	}
	t, ok := tokensOf(text, &doc)
	if !ok {
		return nil, "", diag.List{t.unknownForm(file)}
	}
	eol := "\n"
	if first, _, _ := strings.Cut(text, "\n"); strings.HasSuffix(first, "\r") {
		eol = "\r\n"
	}
	p := &printer{eol: eol}
	for i := 0; i < len(t.all); {
		end := i
		for end < len(t.all) && t.all[end].kind != lineEnd {
			end++
		}
		p.line(t.all[i:end], t.all[end:])
		i = end + 1
	}
	return t, p.end(t.all), nil
}

// differs returns the number of the first token of a that b does not have, -1 when there is none.
// Empty lines do not count.
func differs(a, b *tokens) int {
	if b == nil {
		return 0
	}
	x, y := a.lines(), b.lines()
	for i, at := range x {
		if i == len(y) || !slices.Equal(a.all[at].said(), b.all[y[i]].said()) || a.all[at].kind != b.all[y[i]].kind {
			return at
		}
	}
	if len(y) > len(x) {
		return len(a.all)
	}
	return -1
}

// said are the lines of a token. What kind of line break there is does not count.
func (t token) said() []string {
	if t.kind == lineEnd {
		return nil
	}
	return t.lines
}

// lines returns the numbers of the tokens, of line ends only those of lines that are not empty.
func (t *tokens) lines() (all []int) {
	empty := true
	for i, tok := range t.all {
		if tok.kind != lineEnd || !empty {
			all = append(all, i)
		}
		empty = tok.kind == lineEnd
	}
	if n := len(all); n > 0 && t.all[all[n-1]].kind == lineEnd {
		all = all[:n-1]
	}
	return all
}

// printer writes lines.
type printer struct {
	out   strings.Builder
	eol   string
	empty bool    // an empty line is due
	open  []int   // where each open bracket closes: the indentation of that line
	stack []level // the entries of blocks that are open
	base  int     // where a bracket closes that opens in this line
	last  token   // that is no comment and no line end
}

// level is an entry of a block: its column before, and its indentation now.
type level struct{ col, at int }

// line writes a line. rest are the tokens behind it.
func (p *printer) line(line, rest []token) {
	if len(line) == 0 {
		p.empty = p.out.Len() > 0
		return
	}
	if p.empty {
		p.out.WriteString(p.eol)
		p.empty = false
	}
	p.base = p.indent(line[0], rest)
	if line[0].kind != content {
		p.spaces(p.base)
	}
	for i, t := range line {
		if i > 0 {
			p.out.WriteString(between(line[i-1], t))
		}
		p.token(t, i == 0)
	}
	p.out.WriteString(p.eol)
}

func (p *printer) spaces(n int) { p.out.WriteString(strings.Repeat(" ", n)) }

// indent returns the indentation of a line that begins with t.
func (p *printer) indent(t token, rest []token) int {
	if n := len(p.open); n > 0 {
		if t.is("]}") {
			return p.open[n-1]
		}
		return p.open[n-1] + 2
	}
	if t.kind != comment {
		return t.at
	}
	return p.above(t.col, rest)
}

// above returns the indentation of a comment that has a line of its own: that of the entries
// which it was in line with, or those that it was right of. The entry below it goes before those
// above, where both are in line with it.
func (p *printer) above(col int, rest []token) int {
	levels := slices.Clone(p.stack)
	for i, t := range rest {
		if t.kind != lineEnd && (i == 0 || rest[i-1].kind == lineEnd) && t.kind != comment {
			levels = append(levels, level{t.col, t.at})
			break
		}
	}
	if len(levels) == 0 {
		return 0
	}
	best := levels[0]
	for _, l := range levels {
		if l.col <= col && (l.col >= best.col || best.col > col) {
			best = l
		}
	}
	if n := len(p.stack); n > 0 && best == p.stack[n-1] && col > best.col && p.last.is(":-") {
		return best.at + 2 // all that its value would have is commented out
	}
	return best.at
}

// token writes a token, first in its line or behind another one.
func (p *printer) token(t token, first bool) {
	at := t.at
	if t.kind != comment {
		p.last = t
	}
	switch n := len(p.open); {
	case t.is("[{"):
		if n == 0 && !first {
			p.base = t.outer
		}
		p.open = append(p.open, p.base)
	case t.is("]}"):
		p.open = p.open[:n-1]
	case n > 0:
		at = p.open[n-1] + 4
	case t.entry:
		for len(p.stack) > 0 && p.stack[len(p.stack)-1].at >= t.at {
			p.stack = p.stack[:len(p.stack)-1]
		}
		p.stack = append(p.stack, level{t.col, t.at})
	}
	if t.kind == word {
		at = max(at, 2)
	}
	for i, text := range t.lines {
		if i > 0 {
			p.out.WriteString(p.eol)
		}
		if text != "" && (i > 0 || t.kind == content) {
			p.spaces(at)
		}
		p.out.WriteString(text)
	}
}

// between returns the white space between two tokens of a line.
func between(before, t token) string {
	alias := before.kind == property || before.kind == word && strings.HasPrefix(before.lines[0], "*")
	switch {
	case t.kind == comment && t.space != "" && !strings.Contains(t.space, "\t"):
		return t.space // in line with the comments of other lines
	case t.kind == comment, before.is(":"), before.kind == property:
		return " "
	case t.is(":") && alias:
		return " "
	case t.is(",]}:"), before.is("[{"):
		return ""
	}
	return " "
}

// end returns the text. The break behind a block scalar is a part of what it says, unless its
// head has a minus: where there was none, none comes.
func (p *printer) end(all []token) string {
	out := p.out.String()
	if n := len(all); n == 0 || all[n-1].kind != content {
		return out
	}
	for _, t := range slices.Backward(all) {
		if t.kind == word {
			if !strings.Contains(t.lines[0], "-") {
				out = strings.TrimSuffix(out, p.eol)
			}
			break
		}
	}
	return out
}
