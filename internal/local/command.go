package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// command runs the scripts in order, up to the first that fails, and returns how many
// seconds they took. The stage's timeout is for all of them together; its error wraps
// action.ErrTimeout. After success the stage is verified, which is a part of the same job: in
// the same directory, under the same beats. hold is inherited by the commands, and tmp is where
// long scripts are written.
func (r *Runner) command(ctx context.Context, job *action.Job, keep *shell.Keep, root string, hold *os.File, tmp string) (seconds float64, err error) {
	dir, err := wdir(root, job.Stage.Wdir)
	if err != nil {
		return 0, diag.New(diag.Usage, "%s: %w", job.Stage.Name, err).At(job.Stage.Place).Hinted("mkdir -p %s", job.Stage.Wdir)
	}
	c := shell.Command{
		Shell: job.Stage.Shell, Dir: dir, Env: append(slices.Clone(job.Env), "PIPE_ROOT="+root),
		Hold: hold, Tmp: tmp, Line: job.Line,
		Started: func(pgid int) { r.Hold.running(job.Stage.Name, pgid) }, Keep: keep,
	}
	began := r.Now()
	err = r.scripts(ctx, job.Stage, c, job.Stage.Cmd...)
	seconds = r.Now().Sub(began).Seconds()
	if err == nil && job.Stage.Verify.Cmd != "" {
		err = r.verify(ctx, job.Stage, c)
	}
	return seconds, err
}

// scripts runs scripts in order, up to the first that fails, within the stage's timeout.
func (r *Runner) scripts(ctx context.Context, s *spec.Stage, c shell.Command, scripts ...string) (err error) {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, action.ErrTimeout)
		defer cancel()
	}
	for _, c.Script = range scripts {
		// Before the start: a command that calls pipe at once finds itself in the note.
		r.Hold.running(s.Name, 0)
		err = shell.Run(ctx, c)
		r.Hold.ended(s.Name)
		r.Inputs.Forget() // the command may have changed ignore files
		if r.Top != nil {
			r.Top.Inputs.Forget()
		}
		if err != nil {
			break
		}
	}
	return err
}

// verify runs the stage's verify command until it succeeds, as often as the stage says. Each try has
// the stage's whole timeout: a deployment that took long is not a bad one. Only a try that ended by
// itself, or timed out, is an answer; another error says nothing about what was deployed.
func (r *Runner) verify(ctx context.Context, s *spec.Stage, c shell.Command) error {
	for try := 0; ; try++ {
		err := r.scripts(ctx, s, c, s.Verify.Cmd)
		var exit *shell.ExitError
		if err == nil || !errors.As(err, &exit) && !errors.Is(err, action.ErrTimeout) {
			return err
		}
		if try == s.Verify.Retries {
			if try == 0 {
				return fmt.Errorf("%w: %w", action.ErrVerify, err)
			}
			return fmt.Errorf("%w after %d tries: %w", action.ErrVerify, try+1, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(s.Verify.Every):
		}
	}
}

// A run that need not prove that it may deploy proves that it is not stopped: its command ends
// when it was for this long.
const (
	silence = 80 * time.Second
	beat    = 20 * time.Second
)

// keep returns the keeper of a deployment's commands, nil for other stages. stop ends its beats.
func (r *Runner) keep(job *action.Job) (keep *shell.Keep, stop func()) {
	if !job.Stage.Deploy || r.Program == "" {
		return nil, func() {}
	}
	keep = &shell.Keep{Program: r.Program, Silence: job.Silence, Beats: job.Beats, Left: func(name string) {
		r.Note(job.Stage.Name, "the command left a process running: "+name)
	}}
	if job.Beats != nil {
		return keep, func() {}
	}
	own := time.NewTicker(beat)
	keep.Silence, keep.Beats = silence, own.C
	return keep, own.Stop
}

// wdir returns the working directory, which must be there.
func wdir(root string, wdir repopath.Path) (string, error) {
	dir := filepath.Join(root, filepath.FromSlash(string(wdir)))
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the working directory %s does not exist", wdir)
	case err == nil && !info.IsDir():
		return "", fmt.Errorf("the working directory %s is not a directory", wdir)
	}
	return dir, err
}
