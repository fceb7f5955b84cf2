package cli

import (
	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// warnOfLock has GitHub show on the page of the run that pipe.lock was not pushed: the run itself is a
// success.
func (a *app) warnOfLock(l pipe.LockPublished) {
	if a.json || !l.Refused() || ci.SystemOf(a.Environ) != ci.GitHub {
		return
	}
	text := []string{l.Why}
	if l.Fix != "" {
		text = append(text, "hint: "+l.Fix)
	}
	view.Annotate(a.Err, view.Annotation{Warning: true, Title: "pipe.lock was not committed", Text: text})
}
