package yamldoc

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Block returns a map as the lines of a block, each with depth spaces in front and with eol behind. The
// items of its lists have lines of their own; what is deeper is in brackets. The text says the same to
// Parse. An edit writes with it; to change a whole document loses its comments.
func (n *Node) Block(depth int, eol string) string {
	var b strings.Builder
	pad := strings.Repeat(" ", depth)
	for _, p := range n.Pairs {
		b.WriteString(pad + scalarText(p.Key, false) + ":")
		switch v := p.Value; {
		case v.Kind == Map && len(v.Pairs) > 0:
			b.WriteString(eol + v.Block(depth+2, eol))
			continue
		case v.Kind == List && len(v.Items) > 0:
			for _, it := range v.Items {
				b.WriteString(eol + pad + "  - " + it.line())
			}
		case v.Kind == String && isScript(v.Value):
			b.WriteString(" " + strings.ReplaceAll(script(v.Value, depth+2), "\n", eol))
		case v.Kind != Null:
			b.WriteString(" " + v.line())
		}
		b.WriteString(eol)
	}
	return b.String()
}

// line returns a value that ends in its line.
func (n *Node) line() string {
	if n.Kind == String {
		return scalarText(n.Value, false)
	}
	return n.Flow(false)
}

// Flow returns a value in brackets where it has parts, in one line. With asJSON it is JSON.
func (n *Node) Flow(asJSON bool) string {
	var parts []string
	switch n.Kind {
	case Null:
		if asJSON {
			return "null"
		}
		return ""
	case String:
		if asJSON {
			return Quote(n.Value)
		}
		return scalarText(n.Value, true)
	case List:
		for _, it := range n.Items {
			parts = append(parts, it.Flow(asJSON))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Map:
		for _, p := range n.Pairs {
			key := &Node{Kind: String, Value: p.Key}
			parts = append(parts, key.Flow(asJSON)+": "+p.Value.Flow(asJSON))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return n.Value
}

// evidentText begins as no number, date or word of any reader does, though a Node of it is a Source.
var evidentText = regexp.MustCompile(`^(?:\.\.?/|\$\{)`)

// scalarText returns a text without quotes where every reader takes it for one, else in quotes: single
// ones if that saves escapes.
func scalarText(s string, flow bool) string {
	doc := "k: " + s
	if flow {
		doc = "[" + s + "]"
	}
	if n, err := Parse("", []byte(doc), Options{}); err == nil && isLine(s) {
		var got *Node
		if n.Kind == Map && len(n.Pairs) == 1 {
			got = n.Pairs[0].Value
		} else if n.Kind == List && len(n.Items) == 1 {
			got = n.Items[0]
		}
		if got != nil && (got.Kind == String || got.Kind == Source && evidentText.MatchString(s)) && got.Value == s && !strings.ContainsAny(s[:1], `"'|>`) {
			return s
		}
	}
	if strings.ContainsAny(s, `"\`) && isLine(s) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return Quote(s)
}

// isLine reports whether a text is one line that can be shown as it is.
func isLine(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isScript reports whether a text has several lines that can be shown as they are.
func isScript(s string) bool {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	if len(lines) < 2 || strings.HasPrefix(lines[0], " ") || lines[len(lines)-1] == "" {
		return false
	}
	for _, l := range lines {
		if l != "" && !isLine(strings.ReplaceAll(l, "\t", " ")) || strings.HasPrefix(l, "\t") {
			return false
		}
	}
	return lines[0] != ""
}

// script returns a text of several lines as a block scalar, without the last break.
func script(s string, depth int) string {
	head := "|"
	text, ended := strings.CutSuffix(s, "\n")
	if !ended {
		head = "|-"
	}
	var b strings.Builder
	b.WriteString(head)
	for _, l := range strings.Split(text, "\n") {
		b.WriteString("\n")
		if l != "" {
			b.WriteString(strings.Repeat(" ", depth) + l)
		}
	}
	return b.String()
}

// Alike reports whether two values are the same to whoever takes a Source for a text. The order of
// keys does not count.
func (n *Node) Alike(m *Node) bool {
	kind := func(k Kind) Kind {
		if k == Source {
			return String
		}
		return k
	}
	if kind(n.Kind) != kind(m.Kind) || n.said() != m.said() && n.Kind != Null && n.Kind < List {
		return false
	}
	if !slices.EqualFunc(n.Items, m.Items, (*Node).Alike) || len(n.Pairs) != len(m.Pairs) {
		return false
	}
	for i, p := range n.Pairs {
		other := m.Pairs[i].Value
		if m.Pairs[i].Key != p.Key {
			other = m.Get(p.Key)
		}
		if other == nil || !p.Value.Alike(other) {
			return false
		}
	}
	return true
}
