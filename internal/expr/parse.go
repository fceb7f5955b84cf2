package expr

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/template"
)

// What a condition may have at most. They bound the stack of the walks over it; nobody writes so much.
const (
	maxText  = 10_000 // bytes
	maxDepth = 100    // parentheses, lists and nots inside one another
)

// parser reads tokens by recursive descent: a function for each level of binding, the loosest first.
type parser struct {
	lexer
	tok   token
	depth int
}

func (p *parser) parse() (*node, error) {
	if len(p.text) > maxText {
		return nil, p.fault(0, "the condition is too long: %d bytes, more than %d", len(p.text), maxText)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokEnd {
		return nil, p.hinted(0, "write for example when: branch == 'main'", "the condition is empty")
	}
	n, err := p.or()
	if err == nil && p.tok.kind != tokEnd {
		err = p.surplus()
	}
	return n, err
}

// surplus is the fault of a token that nothing takes.
func (p *parser) surplus() *Error {
	if p.tok.kind == tokSign && p.tok.text == ")" {
		return p.fault(p.tok.at, "unexpected )")
	}
	return p.hinted(p.tok.at, "join conditions by and or or", "unexpected %s", p.shown())
}

// shown is the token in a message.
func (p *parser) shown() string {
	if p.tok.kind == tokEnd {
		return "end"
	}
	return strings.TrimSpace(p.text[p.tok.at:p.at])
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

// takes moves on if the token is this word or sign.
func (p *parser) takes(kind kindOfToken, text string) (bool, error) {
	if p.tok.kind != kind || p.tok.text != text {
		return false, nil
	}
	return true, p.advance()
}

// deeper calls f one level down.
func (p *parser) deeper(f func() (*node, error)) (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault(p.tok.at, "the condition is nested too deeply")
	}
	defer func() { p.depth-- }()
	return f()
}

func (p *parser) or() (*node, error)  { return p.chain(opOr, p.and) }
func (p *parser) and() (*node, error) { return p.chain(opAnd, p.not) }

// chain reads one or more operands with a word between them.
func (p *parser) chain(o op, operand func() (*node, error)) (*node, error) {
	n, err := operand()
	var all *node
	for err == nil {
		at := p.tok.at
		more, aerr := p.takes(tokWord, words[o])
		if aerr != nil || !more {
			err = aerr
			break
		}
		if all == nil {
			all = &node{op: o, col: p.col(at), args: []*node{n}}
			n = all
		}
		var next *node
		if next, err = operand(); err == nil {
			all.args = append(all.args, next)
		}
	}
	return n, err
}

func (p *parser) not() (*node, error) {
	at := p.tok.at
	is, err := p.takes(tokWord, "not")
	if err != nil || !is {
		if err != nil {
			return nil, err
		}
		return p.comparison()
	}
	arg, err := p.deeper(p.not)
	return &node{op: opNot, col: p.col(at), args: []*node{arg}}, err
}

// comparisons are the operators between two values.
var comparisons = []op{opEqual, opUnequal, opLess, opLessEqual, opGreater, opGreaterEqual}

// operator reads a comparison's operator, if one is there.
func (p *parser) operator() (o op, ok bool, err error) {
	switch {
	case p.tok.kind == tokSign:
		i := slices.IndexFunc(comparisons, func(o op) bool { return words[o] == p.tok.text })
		if i < 0 {
			return 0, false, nil
		}
		return comparisons[i], true, p.advance()
	case p.tok.kind == tokWord && p.tok.text == "in":
		return opIn, true, p.advance()
	case p.tok.kind == tokWord && p.tok.text == "not":
		if err := p.advance(); err != nil {
			return 0, false, err
		}
		if is, err := p.takes(tokWord, "in"); err != nil || is {
			return opNotIn, true, err
		}
		return 0, false, p.fault(p.tok.at, "in is missing after not")
	}
	return 0, false, nil
}

// comparison reads a value, or two with an operator between them.
func (p *parser) comparison() (*node, error) {
	left, err := p.primary()
	if err != nil {
		return nil, err
	}
	at := p.tok.at
	o, ok, err := p.operator()
	if err != nil || !ok {
		return left, err
	}
	right, err := p.primary()
	if err != nil {
		return nil, err
	}
	n := &node{op: o, col: p.col(at), args: []*node{left, right}}
	at = p.tok.at
	if _, more, err := p.operator(); err != nil || more {
		return nil, p.hinted(at, "write a < b and b < c", "a comparison has two sides")
	}
	return n, nil
}

// primary reads a literal, a name, a list, or a condition in parentheses.
func (p *parser) primary() (*node, error) {
	t := p.tok
	n := &node{col: p.col(t.at), value: t.value, parts: t.parts, ref: t.ref}
	switch t.kind {
	case tokConst:
		n.op = opConst
	case tokText:
		n.op = opText
	case tokVar:
		n.op = opVar
	case tokChanged:
		n.op = opChanged
	case tokName:
		if err := p.named(n, t); err != nil {
			return nil, err
		}
	case tokSign:
		switch t.text {
		case "(":
			return p.deeper(p.inner)
		case "[":
			return p.deeper(p.list)
		}
		fallthrough
	default:
		return nil, p.fault(t.at, "a value is missing before %s", p.shown())
	}
	return n, p.advance()
}

// named settles what a name without ${} is: of vars, or one of those that every condition has.
func (p *parser) named(n *node, t token) error {
	rest := t.ref[1:]
	switch t.ref[0] {
	case "params":
		n.op, n.ref = opParams, rest
		if len(rest) == 0 {
			return p.hinted(t.at, "write params.NAME, or ${params} for a variable", "params needs a name")
		}
	case "env":
		n.op, n.ref = opEnv, rest
		if len(rest) != 1 || !isVariable(rest[0]) {
			return p.hinted(t.at, "write env.NAME, or ${"+t.ref.String()+"} for a variable of vars", "env needs the name of a variable")
		}
	case "branch":
		n.op, n.ref = opBranch, nil
		if len(rest) > 0 {
			return p.hinted(t.at, "write branch, or ${"+t.ref.String()+"} for a variable of vars", "branch is a string, and has no %q", rest[0])
		}
	default:
		n.op = opVar
	}
	return nil
}

// isVariable reports whether a name can be that of an environment variable.
func isVariable(name string) bool { return isFirst(name[0]) && !strings.Contains(name, "-") }

// isOwn reports whether a name without ${} is not one of vars.
func isOwn(ref template.Ref) bool {
	return slices.Contains([]string{"params", "env", "branch", "changed", "and", "or", "not", "in", "true", "false", "null"}, ref[0])
}

// inner reads what stands in parentheses.
func (p *parser) inner() (*node, error) {
	open := p.tok.at
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	closed, err := p.takes(tokSign, ")")
	if err == nil && !closed {
		err = p.fault(open, "( is not closed by )")
	}
	return n, err
}

// list reads a list of values.
func (p *parser) list() (*node, error) {
	n := &node{op: opList, col: p.col(p.tok.at)}
	open := p.tok.at
	if err := p.advance(); err != nil {
		return nil, err
	}
	for {
		if closed, err := p.takes(tokSign, "]"); err != nil || closed {
			return n, err
		}
		item, err := p.primary()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, item)
		comma, err := p.takes(tokSign, ",")
		if err != nil {
			return nil, err
		}
		if !comma && (p.tok.kind != tokSign || p.tok.text != "]") {
			return nil, p.fault(open, "[ is not closed by ]")
		}
	}
}
