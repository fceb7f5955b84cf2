package yamldoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/canon"
)

// Canonical returns the one text for a value: JSON with sorted keys and no space, in which
// what the document does not write as a text stands uninterpreted, as !"SOURCE". Values that
// differ have different texts; the form is described in internal/params/FORMAT.md. A list or
// map that holds itself cannot occur: Parse refuses it.
func (n *Node) Canonical() string {
	var b strings.Builder
	n.canonical(&b)
	return b.String()
}

// canonical appends the text of n to b.
func (n *Node) canonical(b *strings.Builder) {
	switch n.Kind {
	case Null:
		b.WriteString("null")
	case Bool:
		b.WriteString(strings.ToLower(n.Value))
	case Number:
		b.WriteString(n.Value)
	case Source:
		b.WriteByte('!')
		b.Write(canon.AppendString(nil, n.Value))
	case String:
		b.Write(canon.AppendString(nil, n.Value))
	case List:
		b.WriteByte('[')
		for i, it := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			it.canonical(b)
		}
		b.WriteByte(']')
	case Map:
		b.WriteByte('{')
		for i, p := range slices.SortedFunc(slices.Values(n.Pairs), byKey) {
			if i > 0 {
				b.WriteByte(',')
			}
			p.At.canonical(b)
			b.WriteByte(':')
			p.Value.canonical(b)
		}
		b.WriteByte('}')
	}
}

// byKey orders pairs by the bytes of what their keys say, as FORMAT.md demands; package canon
// orders by UTF-16 units. The texts of 1 and "1" tell them apart where these are equal.
func byKey(x, y Pair) int {
	if c := strings.Compare(x.At.said(), y.At.said()); c != 0 {
		return c
	}
	return strings.Compare(x.At.Canonical(), y.At.Canonical())
}

// said is a scalar's text without quotes and escapes; True says true.
func (n *Node) said() string {
	if n.Kind == Bool {
		return strings.ToLower(n.Value)
	}
	return n.Value
}

// Quote returns s as a JSON string, which is a YAML double-quoted scalar too. encoding/json
// leaves some characters as they are that YAML does not allow in a file.
func Quote(s string) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	q := strings.TrimSuffix(buf.String(), "\n")
	if !strings.ContainsFunc(q, needsEscape) {
		return q
	}
	var b strings.Builder
	for _, r := range q {
		if needsEscape(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// needsEscape holds for what JSON lets stand and YAML does not (YAML 1.2, 5.1).
func needsEscape(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff
}
