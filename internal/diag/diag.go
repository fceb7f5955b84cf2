// Package diag says what went wrong, where, and what to do next.
//
// Every failure that a user may meet is an *Error: a Kind, which decides the exit code, a
// place, what was being done to what, and a hint. Lower packages return plain errors for what
// only their callers understand, and wrap a cause with %w; the layer that knows what the user
// asked for makes the Error. One pass that finds several faults returns a List, so that nobody
// corrects a file fault by fault.
//
// Match errors by Kind (diag.Is) or by errors.Is on values, never by their text, which may be
// reworded at any time. Kinds, their names in JSON and exit codes are part of the interface:
// see table.
package diag

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is what sort of failure an error is; each has one exit code.
type Kind uint8

// The kinds, in the order of the exit-code table.
const (
	Failed      Kind = iota // something did not work, with no better word
	Stage                   // a stage's command failed
	Usage                   // the command line or pipe.yaml is wrong
	Pending                 // plan or status found work to do
	Auth                    // the remote does not know or not allow us
	Network                 // the remote cannot be reached
	Busy                    // another process holds it
	Integrity               // bytes are not what their name says
	NotFound                // no such thing
	Policy                  // refused by a rule
	Interrupted             // SIGINT
	Terminated              // SIGTERM
)

// table maps each kind to its name in JSON and its exit code, as the manual lists them. They
// never change: scripts and CI depend on them.
var table = [...]struct {
	name string
	code int
}{
	Failed:      {"failed", 1},
	Stage:       {"stage", 1},
	Usage:       {"usage", 2},
	Pending:     {"pending", 3},
	Auth:        {"auth", 4},
	Network:     {"network", 5},
	Busy:        {"busy", 6},
	Integrity:   {"integrity", 7},
	NotFound:    {"not-found", 8},
	Policy:      {"policy", 9},
	Interrupted: {"interrupted", 130},
	Terminated:  {"terminated", 143},
}

// String returns the kind's name, as it stands in JSON.
func (k Kind) String() string { return table[k].name }

// Exit returns the kind's exit code.
func (k Kind) Exit() int { return table[k].code }

// Error is one failure: the place, what was being done to what, and the next command.
type Error struct {
	Kind  Kind
	Place string // "pipe.yaml:12:5", or a path or URL; may be empty
	What  string // bare and lower case, once
	Hint  string // the next step, a command where there is one; may be empty
	Err   error  // the cause; may be nil
	// Output has the last lines that a failed command printed. Whoever shows its output as it
	// comes has shown them.
	Output []string
}

// New returns an Error of kind k whose What is formatted from format; a %w in it sets the
// cause. Only one %w can be the cause: with several, Unwrap of the formatted error is nil.
func New(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, What: err.Error(), Err: errors.Unwrap(err)}
}

// Newer is the one answer to a form that only a later version knows. It is a refusal and not
// damage: the data is right, and must not be deleted or written over.
func Newer(what string, schema int) *Error {
	return Unknown(what, fmt.Sprintf("schema %d", schema))
}

// Unknown is the same answer where it is not the schema that tells: why is "key k2".
func Unknown(what, why string) *Error {
	return New(Policy, "%s was written by a newer pipe (%s)", what, why).Hinted("install a newer pipe (pipe version prints the installed one)")
}

// At sets the place and returns e itself, so that it can end a return statement. It changes e:
// never call it on a shared error value.
func (e *Error) At(place string) *Error {
	e.Place = place
	return e
}

// Hinted sets the hint and returns e itself, as At does.
func (e *Error) Hinted(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error returns "place: what", without the hint.
func (e *Error) Error() string {
	if e.Place == "" {
		return e.What
	}
	return e.Place + ": " + e.What
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports equality by Kind with a bare Error value that has only a Kind, so
// errors.Is(err, &diag.Error{Kind: diag.NotFound}) asks for the kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.What == "" && t.Kind == e.Kind
}

// List is several failures found in one pass.
type List []*Error

// Error returns one line per failure.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the failures.
func (l List) Unwrap() []error {
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errs
}

// OrNil returns l as an error, or nil when it is empty. A nil List in an error would not be
// nil: a non-nil interface holds it.
func (l List) OrNil() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// KindOf returns the kind of the first Error in err's tree, Failed when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Failed
}

// Is reports whether the first Error in err's tree has kind k. In a joined error that is the
// first one in order, which also decides the exit code.
func Is(err error, k Kind) bool {
	return err != nil && KindOf(err) == k
}

// ExitCode returns the process's exit code for err: 0 for nil.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	return KindOf(err).Exit()
}

// All returns the failures in err, in order: the members of a List or of a joined error, else
// err itself wrapped as Failed when it is not an Error. Each of them is printed with its own
// place and hint, so a joined error must not become one text.
func All(err error) []*Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		return []*Error{e}
	}
	if m, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Error
		for _, e := range m.Unwrap() {
			out = append(out, All(e)...)
		}
		return out
	}
	var e *Error
	if errors.As(err, &e) {
		// A plain wrapper around an Error: its words in front, the rest kept.
		return []*Error{{Kind: e.Kind, Place: "", What: err.Error(), Hint: e.Hint, Err: err, Output: e.Output}}
	}
	return []*Error{{Kind: Failed, What: err.Error(), Err: err}}
}
