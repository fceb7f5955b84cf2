package yamldoc

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/pipe-build/pipe/internal/diag"
)

// tokenKind is the sort of a token.
type tokenKind uint8

const (
	word     tokenKind = iota // a scalar, a key, an alias, the head of a block scalar
	property                  // an anchor or a tag
	mark                      // one of - : , [ ] { }
	content                   // the lines of a block scalar, without their indentation
	comment                   // with its #
	lineEnd                   // of which several in a row are empty lines
	marker                    // --- and ..., and directives
)

// token is a part of a text that a format does not change. Only the white space between tokens,
// and the indentation of lines, is the format's.
type token struct {
	kind  tokenKind
	lines []string // one, but for what is written on several lines
	space string   // the white space before it
	from  int      // where it begins in the text
	col   int      // where it begins in its line
	entry bool     // it begins an entry of a block: a key, or the dash of an item
	at    int      // the indentation that it has where it is the first of its line
	outer int      // of a bracket: where it closes when it opens behind something else
}

// is reports whether the token is one of these marks.
func (t token) is(marks string) bool { return t.kind == mark && strings.Contains(marks, t.lines[0]) }

// tokens takes a text apart, led by its nodes: they say where a scalar ends, which without
// quotes nothing in the text itself does.
type tokens struct {
	text  string
	pos   int
	start int // of the line that pos is in
	all   []token
	bad   bool // what stands at pos has a form that is not known here
}

// tokensOf returns the tokens of a text whose document is doc, false when it has a form that is
// not known here. Then the last one ends before it.
func tokensOf(text string, doc *yaml.Node) (*tokens, bool) {
	t := &tokens{text: text}
	t.markers("%", "---")
	if len(doc.Content) > 0 {
		t.node(doc.Content[0], spot{block: -1})
	}
	t.markers("...", "---")
	return t, !t.bad && t.pos == len(text)
}

// spot says where a node stands: the old column of the entries of the block around it, -1 when
// there is none, the new indentation of its own lines, and that of its closing bracket.
type spot struct{ block, at, outer int }

// add takes the next bytes as a token.
func (t *tokens) add(k tokenKind, size int, p spot, lines ...string) *token {
	from := t.pos
	t.pos += size
	if lines == nil {
		lines = []string{t.text[from:t.pos]}
	}
	before := strings.TrimRight(t.text[t.start:from], " \t")
	t.all = append(t.all, token{kind: k, lines: lines, space: t.text[t.start+len(before) : from], from: from, col: from - t.start, at: p.at, outer: p.outer})
	if i := strings.LastIndexAny(t.text[from:t.pos], "\r\n"); i >= 0 {
		t.start = from + i + 1
	}
	return &t.all[len(t.all)-1]
}

// rest is the text from pos on, empty after something unknown.
func (t *tokens) rest() string {
	if t.bad {
		return ""
	}
	return t.text[t.pos:]
}

// skip takes comments and line ends.
func (t *tokens) skip() {
	for rest := t.rest(); rest != ""; rest = t.rest() {
		switch {
		case rest[0] == ' ' || rest[0] == '\t':
			t.pos++
		case breakLen(rest) > 0:
			t.add(lineEnd, breakLen(rest), spot{})
		case rest[0] == '#':
			line := rest[:lineLen(rest)]
			t.add(comment, len(line), spot{}, strings.TrimRight(line, " \t"))
		default:
			return
		}
	}
}

// breakLen is the length of the line break that a text begins with.
func breakLen(s string) int {
	switch {
	case strings.HasPrefix(s, "\r\n"):
		return 2
	case s != "" && (s[0] == '\n' || s[0] == '\r'):
		return 1
	}
	return 0
}

// lineLen is the length of a text's first line, without its break.
func lineLen(s string) int {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return i
	}
	return len(s)
}

// markers takes lines that begin with one of these, and what lies between.
func (t *tokens) markers(begin ...string) {
	for again := true; again; {
		t.skip()
		again = false
		for _, b := range begin {
			rest := t.rest()
			if t.pos != t.start || !strings.HasPrefix(rest, b) {
				continue
			}
			size := len(b)
			if b == "%" {
				size = lineLen(rest)
			} else if after := rest[size:]; after != "" && !strings.ContainsAny(after[:1], " \t\r\n") {
				continue // a scalar
			}
			t.add(marker, size, spot{})
			again = true
		}
	}
}

// take takes a mark, true when it stands there.
func (t *tokens) take(what string, p spot) (*token, bool) {
	if t.skip(); !strings.HasPrefix(t.rest(), what) {
		return nil, false
	}
	return t.add(mark, len(what), p), true
}

// must takes a mark that cannot be left out. Where it is not there, it returns one that counts nowhere.
func (t *tokens) must(what string, p spot) *token {
	if m, ok := t.take(what, p); ok {
		return m
	}
	t.bad = true
	return &token{}
}

var (
	anchorForm = regexp.MustCompile(`^&[^\s,\[\]{}]+`)
	tagForm    = regexp.MustCompile(`^(?:!<[^>\s]*>|![^\s,\[\]{}]*)`)
)

// properties takes the anchor and the tag that a node has, in either order. What stands here may
// also be those of the next key, when the node is empty.
func (t *tokens) properties(y *yaml.Node, p spot) {
	anchored, tagged := y.Anchor != "" && y.Kind != yaml.AliasNode, y.Style&yaml.TaggedStyle != 0
	for anchored || tagged {
		t.skip()
		found := anchorForm.FindString(t.rest())
		if found != "" && anchored {
			anchored = false
		} else if found = tagForm.FindString(t.rest()); found != "" && tagged {
			tagged = false
		} else {
			t.bad = true
			return
		}
		t.add(property, len(found), p)
	}
	t.skip()
}

// node takes a node and all below it.
func (t *tokens) node(y *yaml.Node, p spot) {
	t.skip()
	t.properties(y, p)
	switch flow := y.Style&yaml.FlowStyle != 0; {
	case t.bad:
	case y.Kind == yaml.AliasNode:
		t.exactly("*"+y.Value, p)
	case y.Kind == yaml.MappingNode && flow:
		t.flowMap(y, p)
	case y.Kind == yaml.SequenceNode && flow:
		t.must("[", p)
		for _, it := range y.Content {
			t.node(it, p)
			t.take(",", p)
		}
		t.must("]", p)
	case y.Kind == yaml.MappingNode:
		t.blockMap(y, p)
	case y.Kind == yaml.SequenceNode:
		for _, it := range y.Content {
			dash := t.must("-", p)
			dash.entry = true
			t.node(it, spot{block: dash.col, at: p.at + 2, outer: p.at + 2})
		}
	default:
		t.scalar(y, p)
	}
}

// blockMap takes a map that is written without brackets.
func (t *tokens) blockMap(y *yaml.Node, p spot) {
	for i := 0; i+1 < len(y.Content); i += 2 {
		t.skip()
		first, block := len(t.all), t.pos-t.start
		t.node(y.Content[i], spot{block: block, at: p.at, outer: p.at})
		if t.bad || first == len(t.all) {
			t.bad = true
			return
		}
		t.all[first].entry = true
		t.must(":", p)
		t.node(y.Content[i+1], spot{block: block, at: p.at + 2, outer: p.at})
	}
}

// flowMap takes a map in braces, or the one pair [a: b] of a list that has none.
func (t *tokens) flowMap(y *yaml.Node, p spot) {
	_, braces := t.take("{", p)
	for i := 0; i+1 < len(y.Content); i += 2 {
		t.node(y.Content[i], p)
		t.take(":", p)
		t.node(y.Content[i+1], p)
		if braces {
			t.take(",", p)
		}
	}
	if braces {
		t.must("}", p)
	}
}

// exactly takes a scalar that is written as it is.
func (t *tokens) exactly(s string, p spot) {
	if !strings.HasPrefix(t.rest(), s) {
		t.bad = true
		return
	}
	t.add(word, len(s), p)
}

// scalar takes a scalar; an empty one without quotes is nothing.
func (t *tokens) scalar(y *yaml.Node, p spot) {
	size := 0
	switch {
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		t.block(p)
		return
	case y.Style&yaml.DoubleQuotedStyle != 0:
		size = quotedLen(t.rest(), '"')
	case y.Style&yaml.SingleQuotedStyle != 0:
		size = quotedLen(t.rest(), '\'')
	case y.Value == "":
		return
	default:
		size = plainLen(t.rest(), y.Value)
	}
	if size == 0 {
		t.bad = true
		return
	}
	t.add(word, size, p, folded(t.text[t.pos:t.pos+size])...)
}

// quotedLen is the length of the text in quotes that s begins with, 0 when there is none.
func quotedLen(s string, quote byte) int {
	if s == "" || s[0] != quote {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch {
		case quote == '"' && s[i] == '\\', quote == '\'' && strings.HasPrefix(s[i:], "''"):
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return 0
}

// plainLen is the length of what is written without quotes and means value, 0 when s does not
// begin with it. On several lines, a break is a space, and each further one a line end.
func plainLen(s, value string) int {
	at := 0
	for value != "" {
		blank := len(s[at:]) - len(strings.TrimLeft(s[at:], " \t\r\n"))
		if n := strings.Count(strings.ReplaceAll(strings.ReplaceAll(s[at:at+blank], "\r\n", "\n"), "\r", "\n"), "\n"); n > 0 {
			want := " "
			if n > 1 {
				want = strings.Repeat("\n", n-1)
			}
			if !strings.HasPrefix(value, want) {
				return 0
			}
			at, value = at+blank, value[len(want):]
			continue
		}
		if at == len(s) || s[at] != value[0] {
			return 0
		}
		at, value = at+1, value[1:]
	}
	return at
}

// folded returns the lines of a scalar that may be written on several: those that follow lose
// the space at their beginning, which means nothing.
func folded(s string) []string {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"), "\n")
	for i := range lines {
		if i > 0 {
			lines[i] = strings.TrimLeft(lines[i], " \t")
		}
		// Behind a backslash a space is a character.
		if kept := strings.TrimRight(lines[i], " \t"); i < len(lines)-1 && !strings.HasSuffix(kept, `\`) {
			lines[i] = kept
		}
	}
	return lines
}

// unknownForm is the error for what stands at pos.
func (t *tokens) unknownForm(file string) *diag.Error {
	e := diag.New(diag.Usage, "cannot be formatted: this form of YAML is not supported").At(t.place(file, t.pos))
	if strings.HasPrefix(t.text[t.pos:], "?") {
		return e.Hinted("write KEY: VALUE instead of ? KEY")
	}
	return e
}

// place returns the place of an offset.
func (t *tokens) place(file string, at int) string {
	before := strings.ReplaceAll(strings.ReplaceAll(t.text[:at], "\r\n", "\n"), "\r", "\n")
	return place(file, 1+strings.Count(before, "\n"), 1+utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]))
}
