package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/event"
)

// errTimeout is the cause of a context that a stage's timeout ended.
var errTimeout = errors.New("timeout")

// maxLog is how much of a command's output is kept with its record: the first
// half and the last half of what is more.
const maxLog = 4 << 20

// command runs a stage's scripts in order, and returns what they printed and how
// many seconds they took.
func (r *run) command(ctx context.Context, st *state, root string, env []string) (log []byte, seconds float64, err error) {
	dir, err := wdir(root, st)
	if err != nil {
		return nil, 0, err
	}
	if t := st.Stage.Timeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t, errTimeout)
		defer cancel()
	}
	r.emit(event.Event{Type: event.Started, Stage: st.Stage.Name, Deploy: st.Stage.Deploy, Verb: event.Run})
	out := &output{}
	began := r.Now()
	for _, script := range st.Stage.Cmd {
		err = shell.Run(ctx, shell.Command{
			Script: script, Shell: st.Stage.Shell, Dir: dir, Env: env, Hold: r.Hold, Tmp: r.Work.Tmp(),
			Line: func(line []byte) {
				out.add(line)
				r.emit(event.Event{Type: event.Output, Stage: st.Stage.Name, Text: string(line)})
			},
			Started: func(pgid int) { r.Running(st.Stage.Name, pgid) },
		})
		r.Running(st.Stage.Name, 0)
		r.Inputs.Forget()
		if err != nil {
			break
		}
	}
	return out.bytes(), r.Now().Sub(began).Seconds(), r.commandError(st, out, err)
}

func exitCode(err error) int {
	var exit *shell.ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return 0
}

// commandError says how a command failed, with its last lines.
func (r *run) commandError(st *state, out *output, err error) error {
	var exit *shell.ExitError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTimeout):
		err = diag.New(diag.Stage, "%s: not done after %s (timeout): %w", st.Stage.Name, st.Stage.Timeout, err).At(st.Stage.Place).
			Hinted("raise timeout in pipe.yaml, or make the command faster")
	case errors.As(err, &exit):
		text := fmt.Sprintf("%s: the command failed: %s", st.Stage.Name, exit)
		if tail := out.tail(); tail != "" {
			text += "\n" + tail
		}
		e := &diag.Error{Kind: diag.Stage, Place: st.Stage.Place, What: text, Err: err}
		err = e.Hinted("%s", failureHint(st))
	}
	return err
}

func failureHint(st *state) string {
	if st.Stage.Deploy && !st.Stage.InRepo {
		return "it ran in a fresh directory that holds its deps alone: name what it misses in deps, or set workdir: repo; then pipe repro"
	}
	return "mend the command, then pipe repro: nothing of the failed run was recorded"
}

// output keeps what a command prints, within maxLog.
type output struct {
	head, last []byte
	cut        bool
}

func (o *output) add(line []byte) {
	const half = maxLog / 2
	if len(o.head)+len(line) < half {
		o.head = append(append(o.head, line...), '\n')
		return
	}
	o.last = append(append(o.last, line...), '\n')
	if len(o.last) > 2*half {
		o.last = append([]byte(nil), o.last[len(o.last)-half:]...)
		o.cut = true
	}
}

func (o *output) bytes() []byte {
	b := append([]byte(nil), o.head...)
	if o.cut {
		b = append(b, "[...]\n"...)
	}
	return append(b, o.last...)
}

// tail returns the last lines, indented, for an error.
func (o *output) tail() string {
	const lines = 10
	text := strings.TrimRight(string(append(append([]byte(nil), o.head...), o.last...)), "\n")
	if text == "" {
		return ""
	}
	all := strings.Split(text, "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "    " + strings.Join(all, "\n    ")
}
