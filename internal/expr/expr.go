// Package expr reads and evaluates the conditions of when:.
//
// A condition is parsed, bound and evaluated, in this order. Bind puts in what pipe.yaml knows: the
// values of vars and params. It also refuses what can never be right, such as a number that is compared
// with a string, so that a typing error is found when pipe.yaml is read and not on the one branch where it
// counts. Eval asks for what only a run knows: environment variables, the branch, and which stages have
// changed.
//
// There is no truth but true and false, and values of different kinds are never equal: to compare
// them is an error. Only null may be compared with anything, by == and !=.
package expr

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/template"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Expr is a condition.
type Expr struct{ root *node }

// Error says what is wrong with a condition, and where.
type Error struct {
	Col  int // in the condition, in characters from 1
	What string
	Hint string // may be empty
}

// Error returns what is wrong.
func (e *Error) Error() string { return e.What }

// Names are what a condition may name beside what only a run knows.
type Names struct {
	Vars *template.Scope // may be nil
	// Params reads the file that params.NAME is about; it is asked only for that.
	Params func() (*yamldoc.Node, error)
}

// World is what only a run knows.
type World struct {
	Env    func(name string) (value string, set bool)
	Branch func() string // that is checked out; "": none
	// Changed reports whether a stage, or one of a group, is not as it was when the run began. Its error ends the evaluation.
	Changed func(name string) (bool, error)
}

// Parse reads a condition. Its error is an *Error.
func Parse(text string) (*Expr, error) {
	p := &parser{lexer: lexer{text: text}}
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	return &Expr{root}, nil
}

// String returns the condition in one form: parsed again it means the same, and has the same form.
func (e *Expr) String() string {
	var b strings.Builder
	e.root.write(&b, 0)
	return b.String()
}

// Bind puts the values of vars and params in, and checks what can be known without a run. It returns all
// that is wrong.
func (e *Expr) Bind(names Names) []*Error {
	b := &binder{names: names}
	b.bind(e.root)
	if len(b.faults) > 0 {
		return b.faults
	}
	if b.check(e.root)&isBool == 0 && len(b.faults) == 0 {
		b.fault(e.root, "%s is %s; a condition must be true or false", e.root, b.check(e.root)).Hint = "compare it, for example " + e.root.String() + " != null"
	}
	return b.faults
}

// Stages returns the stages and groups that changed() asks about, each once and sorted. It is known once the
// condition is bound.
func (e *Expr) Stages() (names []string) {
	e.root.walk(func(n *node) {
		if n.op == opChanged {
			names = append(names, n.value.(string))
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// Rename gives the stages and groups that changed() asks about other names.
func (e *Expr) Rename(f func(name string) string) {
	e.root.walk(func(n *node) {
		if n.op == opChanged {
			n.value = f(n.value.(string))
		}
	})
}

// Eval evaluates a bound condition. The error is an *Error, or that of World.Changed.
func (e *Expr) Eval(w World) (bool, error) {
	v, err := (&evaluation{w}).value(e.root)
	if err != nil {
		return false, err
	}
	return truth(e.root, v)
}

// op is what a node does.
type op uint8

const (
	opOr op = iota
	opAnd
	opNot
	opEqual
	opUnequal
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opIn
	opNotIn
	opConst   // value
	opText    // a string with ${} in it: parts
	opList    // of nodes
	opVar     // ref
	opParams  // ref behind params
	opEnv     // ref is the name
	opBranch  //
	opChanged // parts, and after Bind the name in value
)

// words are the operators between two values.
var words = map[op]string{
	opOr: "or", opAnd: "and", opNot: "not", opEqual: "==", opUnequal: "!=", opLess: "<", opLessEqual: "<=", opGreater: ">", opGreaterEqual: ">=", opIn: "in", opNotIn: "not in",
}

// node is a part of a condition.
type node struct {
	op    op
	col   int // in characters, from 1
	args  []*node
	value any // of opConst, and after Bind of all that Bind knows
	ref   template.Ref
	parts []part
}

// part is a piece of a string: a text or, where there is one, the value of a ref.
type part struct {
	text string
	ref  template.Ref
	col  int // of the ref
}

// walk calls f for a node and all below it.
func (n *node) walk(f func(*node)) {
	f(n)
	for _, a := range n.args {
		a.walk(f)
	}
}
