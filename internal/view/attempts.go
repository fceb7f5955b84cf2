package view

import (
	"fmt"

	"github.com/pipe-build/pipe/pkg/event"
)

// Attempts says how many attempts a command needed, behind how it ended; "" when the first was enough.
func Attempts(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", attempt %d", n)
}

// retried prints that a command failed and runs again. What the next attempt prints comes below it.
func (p *Progress) retried(e event.Event) {
	text := fmt.Sprintf("%s, starting attempt %d of %d", e.How, e.Attempt, e.Retries+1)
	if s := p.find(e.Stage); s != nil && p.Form.folds() && !p.Quiet {
		s.held = append(s.held, "["+text+"]") // in its place among the output
	}
	p.told(e.Stage, "retry", text)
}
