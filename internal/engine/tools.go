package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
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

// tool runs one command, unless the same one was run for another stage.
func (r *run) tool(ctx context.Context, st *state, in *gathered, t spec.Asked) (artifact.Tool, error) {
	outside := r.outside(st.Stage, in.Env)
	log := runlog.NewOutput(outside)
	env := r.environ(st, &gathered{Inputs: action.Inputs{Env: in.Env}})
	if st.Stage.Deploy && r.Env != nil {
		env = append(env, "PIPE_ENV="+r.Env.Name())
	}
	q := action.Question{
		Stage: st.Stage.Name, Cmd: t.Name, Shell: st.Stage.Shell, Wdir: st.Stage.Wdir, Env: env, Timeout: toolTime, Most: toolBytes,
		Line: func(line []byte) { log.Add(line) },
	}
	// Questions are the same if nothing that the command sees differs.
	id := fmt.Sprintf("%q", append([]string{q.Cmd, q.Shell, string(q.Wdir)}, q.Env...))
	got := r.answers.of(id, func() answer {
		out, err := r.Ask(ctx, q)
		return answer{out, log.Tail(), err}
	})
	switch {
	case errors.Is(got.err, action.ErrNotAsked), ctx.Err() != nil:
		return artifact.Tool{}, got.err
	case got.err != nil:
		return artifact.Tool{}, toolError(st.Stage, t, got)
	case len(got.out) == 0 && len(got.tail) > 0:
		r.note(st.Stage.Name, "%s printed only to standard error, which does not count; add 2>&1 to it", t.Name)
	}
	return artifact.Tool{Cmd: t.Name, Digest: digest.Of(got.out), Size: int64(len(got.out)), Line: r.line(st.Stage, outside, got.out)}, nil
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
func toolError(s *spec.Stage, t spec.Asked, got answer) error {
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
	e := &diag.Error{Kind: diag.Stage, Place: t.Place, What: fmt.Sprintf("%s: dependency {cmd: %s}: %s", s.Name, t.Name, what), Err: got.err}
	return e.Hinted("install the tool, or correct the command")
}
