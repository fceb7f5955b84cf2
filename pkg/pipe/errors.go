package pipe

import (
	"github.com/pipe-build/pipe/internal/diag"
)

// Problem is one failure, for people and for JSON.
type Problem struct {
	Kind    string `json:"kind"`            // the word behind the exit code: usage, auth, network, ...
	Place   string `json:"place,omitempty"` // file:line:column, a path or a URL
	Message string `json:"message"`         // what went wrong
	Hint    string `json:"hint,omitempty"`  // the next step
}

// Describe takes an error of this package apart: one Problem for each failure. It never
// returns nil, so that it encodes as a list.
func Describe(err error) []Problem {
	out := []Problem{}
	for _, e := range diag.All(err) {
		out = append(out, Problem{Kind: e.Kind.String(), Place: e.Place, Message: e.What, Hint: e.Hint})
	}
	return out
}

// ExitCode returns the process's exit code for an error of this package.
func ExitCode(err error) int { return diag.ExitCode(err) }
