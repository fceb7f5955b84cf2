package yamldoc

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// scalar sets the kind and value of n. Nothing is interpreted: two values that
// some reader of YAML 1.1 or 1.2 tells apart must stay apart. So the only tag
// that is taken is !!str, which does what quotes do.
func (p *parser) scalar(n *Node, y *yaml.Node) {
	n.Kind, n.Value = String, y.Value
	tagged := y.Style&yaml.TaggedStyle != 0
	switch {
	case tagged && y.Tag != "!!str":
		e := p.fault(y, "tag %s is not supported", y.Tag)
		if !strings.HasPrefix(y.Tag, "!!") {
			_ = e.Hinted("put a value that begins with ! in quotes")
		}
	case !tagged && loneTag.Match(p.from(y)):
		_ = p.fault(y, "tag ! is not supported").Hinted("put the whole value in quotes")
	case !tagged && y.Style == 0:
		n.Kind = plainKind(y.Value)
	}
}

// loneTag is YAML's tag for "not resolved", perhaps after an anchor. The YAML
// parser drops it: cmd: ! grep x would run grep x, and ! 1 would be 1.
var loneTag = regexp.MustCompile(`^(?:&\S+\s+(?:#.*\s+)*)?!(?:\s|$)`)

// cursor is a place in data that only moves on: nodes are met in their order. Counting from
// the top for each scalar would take time in the square of the file's size.
type cursor struct{ line, col, off int }

// from returns the document from y on. The YAML parser counts columns in
// characters, and lines by the breaks of YAML 1.1.
func (p *parser) from(y *yaml.Node) []byte {
	// at stays at y: nodes come in the order of the text.
	at := &p.at
	for at.line < y.Line || at.line == y.Line && at.col < y.Column {
		r, size := utf8.DecodeRune(p.data[at.off:])
		if size == 0 {
			break
		}
		at.off += size
		at.col++
		switch r {
		case '\r':
			if bytes.HasPrefix(p.data[at.off:], []byte("\n")) {
				continue
			}
			fallthrough
		case '\n', 0x85, 0x2028, 0x2029:
			at.line, at.col = at.line+1, 1
		}
	}
	return p.data[at.off:]
}

// plainKind returns what a scalar without quotes is. Null and the booleans are
// those of YAML 1.2's core schema.
func plainKind(s string) Kind {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return Null
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return Bool
	}
	if isText(s) {
		return String
	}
	return Source
}

// isText says of a scalar without quotes that no reader takes it for anything but a text. All
// that YAML 1.1 and 1.2 resolve otherwise is ASCII, and begins with something else or is one
// of these words. s is not empty.
func isText(s string) bool {
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no", "on", "off":
		return false
	}
	c := s[0]
	return c == '_' || c == '/' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}
