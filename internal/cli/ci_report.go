package cli

import (
	"context"
	"errors"
	"io"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// reported opens the project for a run of CI, and shows what became of it wherever the CI system has a
// place for that. A failure is shown, too, also that of a project that cannot be opened.
func (a *app) reported(ctx context.Context, run func(*pipe.Project) (*pipe.CIResult, error)) error {
	open := false
	err := a.opened(ctx, a.options(), func(p *pipe.Project) error {
		open = true
		r, err := run(p)
		p.Report(r, err)
		if r == nil || diag.Is(err, diag.Usage) && len(r.Stages) == 0 {
			return err
		}
		a.warnOfLock(r.Lock)
		return errors.Join(a.answer("pipe.ci/1", r, func(w io.Writer) { printCI(w, r) }), err)
	})
	if !open {
		pipe.ReportFailure(a.options(), err)
	}
	return err
}

// printCI prints what became of pipe.lock and of the environments.
func printCI(w io.Writer, r *pipe.CIResult) {
	if r.Lock.Changed {
		view.Print(w, "%s\n", r.Lock)
	}
	if len(r.Environments) > 0 {
		printDeployed(w, &pipe.Deployed{Environments: r.Environments})
	}
}

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
