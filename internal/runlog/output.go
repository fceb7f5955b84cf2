package runlog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

// maxLog is how many bytes of a command's output are kept with its record: the first half and
// the last half of what is more. The beginning says what was started, the end how it failed.
const maxLog = 4 << 20

// Output keeps what a command prints, within maxLog, with secrets masked. Who begins one sets
// Run; a copy of what is kept goes to this machine's files.
type Output struct {
	secrets    []string // none is empty
	head, last []byte
	cut        bool

	more   bool   // the last piece was not the end of its line
	held   string // the end of that piece, where a secret may begin
	hidden int    // how many bytes at its beginning end a secret that was masked

	Run  Run
	file *Writer // the copy of head and last on this machine; nil: there is none
}

// NewOutput masks the values of the stage's secrets, line by line: a command prints lines, and
// so a value of several lines is several. An empty line is no secret: it would match
// everywhere.
func NewOutput(env []action.EnvValue) *Output {
	o := &Output{}
	for _, e := range env {
		if !e.Secret && !e.Mask {
			continue
		}
		for line := range strings.SplitSeq(e.Value, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				o.secrets = append(o.secrets, line)
			}
		}
	}
	return o
}

// masked returns the text with *** in place of secrets. What is so long that it comes in pieces
// is masked as if it were whole: the end of a piece is held until the next one tells whether a
// secret begins there.
func (o *Output) masked(piece []byte) string {
	text := o.held + string(piece)
	if len(o.secrets) == 0 {
		return text
	}
	hidden := o.found(text)
	show := len(text)
	if o.more {
		for _, s := range o.secrets {
			show = min(show, max(0, len(text)-len(s)+1))
		}
	}
	o.held, o.hidden = text[show:], 0
	for _, h := range hidden[show:] {
		if !h {
			break
		}
		o.hidden++
	}
	return masked(text[:show], hidden)
}

// Masked returns a line that is not a command's output, with the values of secrets masked.
func Masked(line string, env []action.EnvValue) string { return NewOutput(env).whole(line) }

// found tells which bytes belong to secrets. All are looked for before any is replaced: one may
// begin another, and what is left of it would be shown.
func (o *Output) found(text string) []bool {
	hidden := make([]bool, len(text))
	for i := range o.hidden {
		hidden[i] = true
	}
	for _, s := range o.secrets {
		for from := 0; ; from++ {
			at := strings.Index(text[from:], s)
			if at < 0 {
				break
			}
			from += at
			for i := range len(s) {
				hidden[from+i] = true
			}
		}
	}
	return hidden
}

// masked returns the text with *** in place of each run of hidden bytes.
func masked(text string, hidden []bool) string {
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString("***")
		}
	}
	return b.String()
}

// half of maxLog is kept of the beginning, and half of the end.
const half = maxLog / 2

// Add keeps a line, or the next piece of one, and returns it as it may be shown; false when
// nothing of the piece may be shown yet, or is left.
func (o *Output) Add(line []byte) (string, bool) {
	began := o.more
	o.more = len(line) == shell.MaxLine
	text := o.masked(line)
	if text == "" && (began || o.more) {
		return "", false
	}
	// Once a line has gone to last, all do: head is the beginning without gaps.
	if o.last == nil && len(o.head)+len(text) < half {
		o.head = append(append(o.head, text...), '\n')
		o.file.Line(text)
		return text, true
	}
	o.last = append(append(o.last, text...), '\n')
	o.file.Line(text)
	if len(o.last) > 2*half { // seldom, because it copies
		o.file.Replace(o.Bytes())
	}
	return text, true
}

// trim drops what is between the two halves. It runs each time that last has grown to twice
// its share, so that the cost per byte stays constant.
func (o *Output) trim() {
	if len(o.last) > half {
		o.last = append([]byte(nil), o.last[len(o.last)-half:]...)
		o.cut = true
	}
}

// Bytes returns what is kept, with a mark where something was dropped.
func (o *Output) Bytes() []byte {
	o.trim()
	b := append([]byte(nil), o.head...)
	if o.cut {
		b = append(b, "[...]\n"...)
	}
	return append(b, o.last...)
}

// Tail returns the last lines, for an error. What it returns is masked: Add kept only masked
// text.
func (o *Output) Tail() []string {
	const lines = 20
	text := strings.TrimRight(string(append(append([]byte(nil), o.head...), o.last...)), "\n")
	if text == "" {
		return nil
	}
	all := strings.Split(text, "\n")
	return all[max(0, len(all)-lines):]
}

// Begin begins this machine's copy.
func (o *Output) Begin(d *Dir) { o.file = d.Begin(o.Run) }

// Again notes that the command is run again, as which attempt, and how the last one failed.
func (o *Output) Again(s *spec.Stage, attempt int, failed error) event.Event {
	o.Run.Attempts = attempt
	e := event.Event{
		Schema: event.Schema, Type: event.Retried, Stage: s.Name, Deploy: s.Deploy, Check: s.Check, Attempt: attempt, Retries: s.Retries,
		How: HowFailed(failed), Exit: ExitCode(failed),
	}
	o.Add(fmt.Appendf(nil, "[%s, starting attempt %d of %d]", e.How, attempt, s.Retries+1))
	return e
}

// End writes to this machine's copy how the run ended: how long it took, in seconds, and its
// error. ended is set when the run was stopped from outside.
func (o *Output) End(seconds float64, err error, ended bool) {
	run := &o.Run
	run.Status, run.Exit, run.Seconds = OK, ExitCode(err), seconds
	switch {
	case err == nil:
	case ended:
		run.Status = Interrupted
	case errors.Is(err, action.ErrTimeout):
		run.Status = TimedOut
	default:
		run.Status = Failed
	}
	if err != nil {
		run.Error = o.whole(diag.All(err)[0].What)
	}
	all := o.Bytes()
	if len(all) > 0 {
		run.Log = digest.Of(all)
	}
	if o.cut {
		o.file.Replace(all)
	}
	o.file.End(*run)
}

// whole masks the first line of a text that is not a command's output.
func (o *Output) whole(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	o.hidden = 0
	return masked(text, o.found(text))
}

// ExitCode returns the exit code of the command that err is about, 0 when err is about
// something else.
func ExitCode(err error) int {
	var exit *shell.ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return 0
}

// HowFailed says in a few words how the command that err is about ended; "" when err is about
// something else.
func HowFailed(err error) string {
	var exit *shell.ExitError
	switch {
	case errors.Is(err, action.ErrTimeout):
		return "timed out"
	case errors.As(err, &exit):
		return exit.Error()
	}
	return ""
}

// Explain says how a stage's command failed, with its last lines. Errors that are not the
// command's own are returned as they are, and so is nil.
func (o *Output) Explain(s *spec.Stage, err error) error {
	var exit *shell.ExitError
	tries := ""
	if n := o.Run.Attempts; n > 1 {
		tries = fmt.Sprintf(", in attempt %d of %d", n, s.Retries+1)
	}
	switch {
	case errors.Is(err, action.ErrVerify):
		e := &diag.Error{Kind: diag.Stage, Place: s.Place, What: fmt.Sprintf("%s: %s", s.Name, err), Err: err, Output: o.Tail()}
		return e.Hinted("the command succeeded; fix what it deployed, or verify in pipe.yaml, then deploy again")
	case errors.Is(err, action.ErrTimeout):
		e := &diag.Error{Kind: diag.Stage, Place: s.Place, What: fmt.Sprintf("%s: timed out after %s%s", s.Name, s.Timeout, tries), Err: err, Output: o.Tail()}
		return e.Hinted("raise the timeout in pipe.yaml, or make the command faster")
	case errors.As(err, &exit):
		e := &diag.Error{Kind: diag.Stage, Place: s.Place, What: fmt.Sprintf("%s: the command failed: %s%s", s.Name, exit, tries), Err: err, Output: o.Tail()}
		return e.Hinted("%s", failureHint(s))
	}
	return err
}

// failureHint names the likeliest reason for a failure. A deploy command that works by hand
// usually fails here because a file is not among its deps.
func failureHint(s *spec.Stage) string {
	if s.Deploy && !s.InRepo {
		return "deploy stages run in a fresh directory that contains only their deps; add missing files to deps, or set workdir: repo, then deploy again"
	}
	return "fix the command, then run pipe again; the failed run was not recorded"
}
