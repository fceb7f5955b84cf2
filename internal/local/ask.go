package local

import (
	"context"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/worktree"
)

// Ask runs a command in the project and returns what it printed on standard output, byte for
// byte. No process of it is left. With h the command inherits the workspace's lock, as that of
// a stage does; nil: the workspace is only looked at. Its errors wrap action.ErrTimeout,
// action.ErrTooMuch or a *shell.ExitError.
func (w *Workspace) Ask(ctx context.Context, h *Hold, q action.Question) ([]byte, error) {
	dir, err := wdir(w.Work.Root(), q.Wdir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, q.Timeout, action.ErrTimeout)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := &bounded{most: q.Most, full: func() { stop(action.ErrTooMuch) }}
	h.running(q.Stage, 0)
	defer h.ended(q.Stage)
	err = shell.Run(ctx, shell.Command{
		Script: q.Cmd, Shell: q.Shell, Dir: dir, Env: append(q.Env, "PIPE_ROOT="+w.Work.Root()), Hold: h.file(),
		Tmp: w.Work.OS(worktree.Dir + "/" + worktree.Tmp), Line: q.Line, Stdout: out, Grace: time.Second,
		Started: func(pgid int) { h.running(q.Stage, pgid) },
	})
	// A command that ended with its last byte too many was not stopped by it.
	if err == nil && len(out.kept) > q.Most {
		err = action.ErrTooMuch
	}
	return out.kept, err
}

// bounded keeps what is written up to a bound, and one byte more, by which the bound is seen to
// be passed.
type bounded struct {
	kept []byte
	most int
	full func()
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.most+1-len(b.kept))
	b.kept = append(b.kept, p[:n]...)
	if len(b.kept) > b.most {
		b.full()
		return n, action.ErrTooMuch
	}
	return n, nil
}
