package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Bounds of a command whose output is an input: it names a version, and every run waits for it.
const (
	toolTime  = 10 * time.Second
	toolBytes = 64 << 10
	toolLine  = 100 // characters of its first line that the lock shows
)

// answers are what commands printed, each asked once in a run, whatever stages ask: it is
// shared by all passes, so that one that is repeated decides about the same versions.
type answers struct {
	sync.Mutex
	by    map[string]func() answer
	taken map[string]bool // commands that were not run, and whose output is what it was
}

// answer is what a command printed, or how it failed.
type answer struct {
	out  []byte
	tail []string // the last lines of standard error
	err  error
}

// tools adds the outputs of the stage's commands to its inputs. A command that is not run counts
// as what it printed when the stage was last done; a stage of which that is not known waits.
func (r *run) tools(ctx context.Context, st *state, in *gathered, then []artifact.Tool) error {
	for _, t := range st.Stage.Tools {
		tool, err := r.tool(ctx, st, in, t)
		if errors.Is(err, action.ErrNotAsked) {
			i := slices.IndexFunc(then, func(a artifact.Tool) bool { return a.Cmd == t.Cmd })
			if i < 0 {
				return errUnknown{t.Cmd, "pipe repro runs it"}
			}
			tool, err = then[i], nil
			st.Assumed = append(st.Assumed, t.Cmd)
			r.assumed(t.Cmd)
		}
		if err != nil {
			return err
		}
		in.Tools = append(in.Tools, tool)
	}
	return nil
}

// assumed says once that a command was not run.
func (r *run) assumed(cmd string) {
	r.answers.Lock()
	defer r.answers.Unlock()
	if !r.answers.taken[cmd] {
		r.answers.taken[cmd] = true
		r.note("", "did not run %s: its output counts as unchanged", cmd)
	}
}

// tool runs one command, unless the same one was run for another stage.
func (r *run) tool(ctx context.Context, st *state, in *gathered, t spec.Tool) (artifact.Tool, error) {
	outside := r.outside(st.Stage, in.Env)
	log := runlog.NewOutput(outside)
	env := r.environ(st, &gathered{Inputs: action.Inputs{Env: in.Env}})
	if st.Stage.Deploy && r.Env != nil {
		env = append(env, "PIPE_ENV="+r.Env.Name())
	}
	q := action.Question{
		Stage: st.Stage.Name, Cmd: t.Cmd, Shell: st.Stage.Shell, Wdir: st.Stage.Wdir, Env: env, Timeout: toolTime, Most: toolBytes,
		Line: func(line []byte) { log.Add(line) },
	}
	got := r.answers.of(q, func() answer {
		out, err := r.Ask(ctx, q)
		return answer{out, log.Tail(), err}
	})
	switch {
	case errors.Is(got.err, action.ErrNotAsked), ctx.Err() != nil:
		return artifact.Tool{}, got.err
	case got.err != nil:
		return artifact.Tool{}, toolError(st.Stage, t, got)
	case len(got.out) == 0 && len(got.tail) > 0:
		r.note(st.Stage.Name, "%s printed only to standard error, which does not count; add 2>&1 to it", t.Cmd)
	}
	return artifact.Tool{Cmd: t.Cmd, Digest: digest.Of(got.out), Size: int64(len(got.out)), Line: r.line(st.Stage, outside, got.out)}, nil
}

// of returns the answer to a question, and asks if nobody has. Questions are the same if nothing
// that the command sees differs.
func (a *answers) of(q action.Question, ask func() answer) answer {
	a.Lock()
	id := fmt.Sprintf("%q", append([]string{q.Cmd, q.Shell, string(q.Wdir)}, q.Env...))
	if a.by[id] == nil {
		a.by[id] = sync.OnceValue(ask)
	}
	once := a.by[id]
	a.Unlock()
	return once()
}

// line returns the first line of an output as the lock may show it, so that people see which
// version it was. A command that sees the whole environment may print any of it, and what it
// prints of a declared variable from outside, or of one that pass_env names, must not be committed, either
// (ADR 0003): then there is no line.
func (r *run) line(s *spec.Stage, env []action.EnvValue, out []byte) string {
	for _, e := range env {
		for value := range strings.SplitSeq(e.Value, "\n") {
			if value = strings.TrimSpace(value); !e.Literal && value != "" && bytes.Contains(out, []byte(value)) {
				return ""
			}
		}
	}
	if s.Deploy || r.Project.Loose {
		return ""
	}
	text, _, _ := strings.Cut(string(bytes.TrimSpace(out)), "\n")
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\ufffd"))
	if all := []rune(text); len(all) > toolLine {
		text = string(all[:toolLine]) + "..."
	}
	return text
}

// toolError says how a command failed, with the last lines of its standard error.
func toolError(s *spec.Stage, t spec.Tool, got answer) error {
	var exit *shell.ExitError
	what := got.err.Error()
	switch {
	case errors.Is(got.err, action.ErrTimeout):
		what = fmt.Sprintf("it did not finish within %s", toolTime)
	case errors.Is(got.err, action.ErrTooMuch):
		what = fmt.Sprintf("it printed more than %d KiB", toolBytes>>10)
	case errors.As(got.err, &exit) && len(got.tail) > 0:
		what += "\n    " + strings.Join(got.tail, "\n    ")
	}
	e := &diag.Error{Kind: diag.Stage, Place: t.Place, What: fmt.Sprintf("%s: dependency {cmd: %s}: %s", s.Name, t.Cmd, what), Err: got.err}
	return e.Hinted("install the tool, or correct the command")
}
