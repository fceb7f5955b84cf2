package expr

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// binder puts values into a condition, and collects what is wrong.
type binder struct {
	names  Names
	faults []*Error
}

func (b *binder) fault(n *node, format string, args ...any) *Error {
	e := n.fault(format, args...)
	b.faults = append(b.faults, e)
	return e
}

func (n *node) fault(format string, args ...any) *Error {
	return &Error{Col: n.col, What: fmt.Sprintf(format, args...)}
}

// bind settles all that is known without a run.
func (b *binder) bind(n *node) {
	switch n.op {
	case opVar:
		n.value = b.found(n.col, b.names.Vars, n.ref)
	case opParams:
		n.value = b.params(n)
	case opText, opChanged:
		var text strings.Builder
		for _, p := range n.parts {
			text.WriteString(p.text)
			if p.ref != nil {
				text.WriteString(b.inText(p))
			}
		}
		n.value = text.String()
	}
	for _, a := range n.args {
		b.bind(a)
	}
}

// find returns what a ref stands for; nil after a fault.
func (b *binder) find(col int, in *template.Scope, ref template.Ref) *yamldoc.Node {
	n, err := in.Find(ref)
	if err != nil {
		_, known := in.Value(ref[0])
		b.faults = append(b.faults, b.unknown(col, ref, known, err))
		return nil
	}
	return n
}

func (b *binder) found(col int, in *template.Scope, ref template.Ref) any {
	if n := b.find(col, in, ref); n != nil {
		return valueOf(n)
	}
	return nil
}

// unknown words the error of a ref that stands for nothing. A word without quotes is the usual slip.
func (b *binder) unknown(col int, ref template.Ref, known bool, err error) *Error {
	e := &Error{Col: col, What: err.Error()}
	switch {
	case !known && (ref[0] == "branch" || ref[0] == "env" || ref[0] == "params"):
		e.Hint = "write " + ref.String() + " without ${}, which is for the names of vars"
	case len(ref) == 1:
		e.Hint = "a string needs quotes: '" + ref[0] + "'"
	}
	if d := (*diag.Error)(nil); errors.As(err, &d) && d.Hint != "" {
		e.What, e.Hint = d.What, d.Hint
	}
	return e
}

// params finds a value of the params file.
func (b *binder) params(n *node) any {
	if b.names.Params == nil {
		b.fault(n, "params.%s: there is no params file here", n.ref)
		return nil
	}
	root, err := b.names.Params()
	if err != nil {
		b.fault(n, "%v", err)
		return nil
	}
	const file = "params"
	scope := (*template.Scope)(nil).With(map[string]template.Value{file: {Node: root}})
	return b.found(n.col, scope, append(template.Ref{file}, n.ref...))
}

// inText returns the value that a string has in it.
func (b *binder) inText(p part) string {
	n := b.find(p.col, b.names.Vars, p.ref)
	if n == nil {
		return ""
	}
	text, fault := template.Text(p.ref, n)
	if fault != nil {
		b.faults = append(b.faults, &Error{Col: p.col, What: fault.What, Hint: fault.Hint})
	}
	return text
}

// check returns the kinds that a part of a condition can have. What can never be compared is a fault.
func (b *binder) check(n *node) kind {
	switch n.op {
	case opOr, opAnd, opNot:
		for _, a := range n.args {
			if k := b.check(a); k&isBool == 0 {
				b.fault(a, "%s must be true or false, not %s", a, k)
			}
		}
		return isBool
	case opList:
		for _, a := range n.args {
			b.check(a)
		}
		return isList
	case opEnv, opBranch:
		return isString | isNull
	case opChanged:
		return isBool
	}
	if n.op.binding() == operand {
		return kindOf(n.value)
	}
	b.pair(n)
	return isBool
}

// pair checks the two sides of a comparison.
func (b *binder) pair(n *node) {
	left, right := b.check(n.args[0]), b.check(n.args[1])
	if e := mismatch(n, left, right); e != nil {
		b.faults = append(b.faults, e)
		return
	}
	if n.op != opIn && n.op != opNotIn {
		return
	}
	items, _ := n.args[1].value.([]any)
	for _, v := range items {
		if e := unlike(n, left, kindOf(v)); e != nil {
			b.faults = append(b.faults, e)
			return
		}
	}
	if n.args[1].op != opList {
		return
	}
	for _, a := range n.args[1].args {
		if e := unlike(n, left, b.check(a)); e != nil {
			b.faults = append(b.faults, e)
			return
		}
	}
}

// mismatch is the fault of a comparison of two kinds, nil if it can have an answer.
func mismatch(n *node, left, right kind) *Error {
	l, r := n.args[0], n.args[1]
	switch n.op {
	case opEqual, opUnequal:
		if equatable(left, right) {
			return nil
		}
	case opIn, opNotIn:
		if holdable(left, right) {
			return nil
		}
		e := n.fault("%s (%s) cannot be in %s (%s)", l, left, r, right)
		e.Hint = "in takes an item of a list, a part of a string, or a key of a map"
		return e
	default:
		if orderable(left, right) {
			return nil
		}
		e := n.fault("cannot compare %s (%s) with %s (%s) by %s", l, left, r, right, words[n.op])
		if e.Hint = asNumber(left, right); e.Hint == "" {
			e.Hint = words[n.op] + " takes two numbers or two strings"
		}
		return e
	}
	e := n.fault("cannot compare %s (%s) with %s (%s)", l, left, r, right)
	if e.Hint = asNumber(left, right); e.Hint == "" && (left|right)&(isList|isMap) != 0 {
		e.Hint = "write in to look for an item or a key"
	}
	return e
}

// unlike is the fault of a list with an item of another kind than what is looked for.
func unlike(n *node, left, item kind) *Error {
	if equatable(left, item) {
		return nil
	}
	e := n.fault("cannot look for %s (%s) in %s: it has %s in it", n.args[0], left, n.args[1], item)
	e.Hint = asNumber(left, item)
	return e
}

// asNumber is the hint for a number and a string, which may look like one.
func asNumber(a, b kind) string {
	if (a|b)&^isNull == isNumber|isString {
		return "a number has no quotes, a string has: 1.10 is a number, '1.10' is a string"
	}
	return ""
}
