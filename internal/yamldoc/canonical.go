package yamldoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Canonical returns the one text for a value: JSON with sorted keys, no space,
// numbers as written in their shortest form. Two documents that mean the same
// value, in YAML or JSON, have the same text.
func (n *Node) Canonical() string {
	var b strings.Builder
	n.canonical(&b)
	return b.String()
}

func (n *Node) canonical(b *strings.Builder) {
	switch n.Kind {
	case Null:
		b.WriteString("null")
	case Bool:
		b.WriteString(strings.ToLower(n.Value))
	case Int:
		b.WriteString(canonicalInt(n.Value))
	case Float:
		b.WriteString(canonicalFloat(n.Value))
	case String:
		b.WriteString(Quote(n.Value))
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
		pairs := slices.SortedFunc(slices.Values(n.Pairs), func(x, y Pair) int { return strings.Compare(x.Key, y.Key) })
		b.WriteByte('{')
		for i, p := range pairs {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(Quote(p.Key))
			b.WriteByte(':')
			p.Value.canonical(b)
		}
		b.WriteByte('}')
	}
}

var digits = regexp.MustCompile(`^[-+]?[0-9]+$`)

// canonicalInt writes 0x1f, 0o17, 017, 0b11, +1 and 1_000 in plain digits.
func canonicalInt(s string) string {
	s = strings.ReplaceAll(s, "_", "")
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	if u, err := strconv.ParseUint(s, 0, 64); err == nil {
		return strconv.FormatUint(u, 10)
	}
	minus := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(strings.TrimLeft(s, "+-"), "0")
	if s == "" {
		return "0"
	}
	if minus {
		return "-" + s
	}
	return s
}

// canonicalFloat returns the shortest text that reads as the same float64, a
// quoted one for infinities and not-a-number, "" for what is no float.
func canonicalFloat(s string) string {
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	switch {
	case f == 0 && err == nil:
		return "0"
	case err == nil && !math.IsInf(f, 0) && !math.IsNaN(f):
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	switch sign := strings.TrimPrefix(strings.ToLower(s), "+"); sign {
	case ".inf", "-.inf", ".nan":
		return `"` + sign + `"`
	}
	return ""
}

// Quote returns s as a JSON string, which is a YAML double-quoted scalar too.
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
