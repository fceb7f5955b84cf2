package expr

import (
	"strings"

	"github.com/pipe-build/pipe/internal/template"
)

// String returns the node as it would be written.
func (n *node) String() string {
	var b strings.Builder
	n.write(&b, 0)
	return b.String()
}

// operand is the binding of what is no operator.
const operand = 5

// binding is how strongly an operator binds.
func (o op) binding() int {
	switch {
	case o == opOr:
		return 1
	case o == opAnd:
		return 2
	case o == opNot:
		return 3
	case o <= opNotIn:
		return 4
	}
	return operand
}

// write writes a node, in parentheses where it binds less strongly than it has to.
func (n *node) write(b *strings.Builder, least int) {
	own := n.op.binding()
	if own < least {
		b.WriteString("(")
		defer b.WriteString(")")
	}
	switch {
	case n.op == opNot:
		b.WriteString("not ")
		n.args[0].write(b, own)
	case own < operand:
		for i, a := range n.args {
			if i > 0 {
				b.WriteString(" " + words[n.op] + " ")
			}
			a.write(b, own+1)
		}
	default:
		n.writeValue(b)
	}
}

func (n *node) writeValue(b *strings.Builder) {
	switch n.op {
	case opText:
		b.WriteString("'" + writeParts(n.parts) + "'")
	case opChanged:
		b.WriteString("changed('" + writeParts(n.parts) + "')")
	case opBranch:
		b.WriteString("branch")
	case opEnv:
		b.WriteString("env." + n.ref[0])
	case opParams:
		b.WriteString("params" + writeRest(n.ref))
	case opVar:
		text := n.ref[0] + writeRest(n.ref[1:])
		if isOwn(n.ref) {
			text = "${" + text + "}"
		}
		b.WriteString(text)
	case opList:
		b.WriteString("[")
		for i, a := range n.args {
			if i > 0 {
				b.WriteString(", ")
			}
			a.write(b, operand)
		}
		b.WriteString("]")
	default:
		writeConst(b, n.value)
	}
}

func writeConst(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(map[bool]string{true: "true", false: "false"}[v])
	case number:
		b.WriteString(v.text)
	case string:
		b.WriteString("'" + escaped(v) + "'")
	}
}

// escaped returns a text as it stands between single quotes.
func escaped(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "'", "''"), "${", `\${`)
}

func writeParts(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(escaped(p.text))
		if p.ref != nil {
			b.WriteString("${" + p.ref[0] + writeRest(p.ref[1:]) + "}")
		}
	}
	return b.String()
}

// writeRest writes the way to a part: with dots where it can.
func writeRest(rest template.Ref) string {
	var b strings.Builder
	for _, key := range rest {
		if strings.ContainsFunc(key, func(r rune) bool { return r >= 0x80 || !isName(byte(r)) }) || key == "" {
			b.WriteString("['" + escaped(key) + "']")
		} else {
			b.WriteString("." + key)
		}
	}
	return b.String()
}
