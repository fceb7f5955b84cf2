// Package view puts events and answers into words.
//
// Both kinds of output go through here, so that they look alike: Progress prints a run's
// events as they come, and the functions word what a verb answers (verdicts, sizes, durations,
// counts). With --json the same values are printed as they are, one document an answer or one
// line an event.
//
// A line of progress is subject, verb and reason. Nothing is printed over or erased: logs of
// CI show lines in the order in which they came. Errors of the writer are dropped, because a
// run must not fail when nobody reads its progress.
//
// Nothing that comes from outside can act on the terminal or the CI service that shows it:
// Print and document see to that. Only the output of a stage's command is passed on as it is.
package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

// Progress prints a run's events: as lines for people, or as JSON lines. It may be used for
// one run; all fields but W may be zero.
type Progress struct {
	W       io.Writer
	JSON    bool
	Quiet   bool // only what runs, fails or must be known
	Group   bool // GitHub Actions: a stage's output is folded into a group
	width   int
	grouped map[string][]string
}

// Event prints one event. It is called from one goroutine at a time.
func (p *Progress) Event(e event.Event) {
	if p.JSON {
		b, err := json.Marshal(e)
		if err == nil {
			_ = document(p.W, string(b))
		}
		return
	}
	e.Stage = subject(e)
	switch e.Type {
	case event.Decided:
		p.decided(e)
	case event.Started:
		p.line(e.Stage, "start", "")
	case event.Output:
		p.output(e)
	case event.Done:
		p.done(e)
	// The output first, so that the failure stands below what led to it.
	case event.Failed:
		p.fold(e.Stage)
		p.line(e.Stage, "FAILED", exitWord(e.Exit))
	case event.Note:
		p.line(e.Stage, "note", e.Text)
	case event.Summary:
		p.summary(e)
	}
}

// exitWord names a command's exit code, "" when the failure is not a command's.
func exitWord(code int) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprintf("exit code %d", code)
}

// decided prints a verdict; what is skipped is left out when quiet.
func (p *Progress) decided(e event.Event) {
	if e.Verb == event.Skip && p.Quiet {
		return
	}
	verb, why := Verdict(e.Verb, e.Deploy, e.Check, e.Because)
	p.line(e.Stage, verb, why)
}

// Verdict returns what a stage must do and why, in words. Why is empty where it
// would only repeat the verb. No verb means that it could not be decided.
func Verdict(v event.Verb, deploy, check bool, because []event.Reason) (verb, why string) {
	verb, why = cmp.Or(string(v), "unknown"), Words(because)
	switch {
	case deploy && v == event.Run:
		verb = "deploy"
	case check && v == event.Run:
		verb = "check"
	}
	if why == verb {
		why = ""
	}
	return verb, why
}

// Words returns reasons in words, the first few in full.
func Words(because []event.Reason) string { return event.Words(because, 4) }

// output prints a line of a command with its stage in front, since several may run at once;
// within GitHub Actions it is kept until the stage ends, because groups of several stages
// cannot overlap there.
func (p *Progress) output(e event.Event) {
	if p.Group {
		if p.grouped == nil {
			p.grouped = map[string][]string{}
		}
		p.grouped[e.Stage] = append(p.grouped[e.Stage], e.Text)
		return
	}
	raw(p.W, e.Stage+" | "+e.Text+"\n")
}

// fold prints a stage's output in one group. It does so once: what was printed is forgotten.
func (p *Progress) fold(stage string) {
	lines := p.grouped[stage]
	if len(lines) == 0 {
		return
	}
	// A stage's name has no characters that need an escape: spec refuses others.
	raw(p.W, "::group::output of "+stage+"\n"+strings.Join(lines, "\n")+"\n::endgroup::\n")
	delete(p.grouped, stage)
}

// done prints that a stage is as it should be, after the output that led there.
func (p *Progress) done(e event.Event) {
	p.fold(e.Stage)
	text := Outs(e.Outs)
	if e.Verb == event.Run {
		switch {
		case e.Deploy:
			text = "live,"
		case e.Check:
			text = "passed"
		}
		text = fmt.Sprintf("%s in %s", text, Seconds(e.Seconds))
	}
	p.line(e.Stage, "done", strings.TrimSpace(text))
}

// Outs lists outputs with the beginnings of their hashes.
func Outs(outs []artifact.Output) string {
	var w []string
	for i, o := range outs {
		const most = 3
		if i == most && len(outs) > most+1 {
			w = append(w, fmt.Sprintf("and %d more", len(outs)-most))
			break
		}
		w = append(w, fmt.Sprintf("%s %s", o.Path, o.Digest.Short()))
	}
	return strings.Join(w, ", ")
}

// Seconds returns a duration for people.
func Seconds(s float64) string {
	whole := int(s + 0.5)
	switch {
	case s < 9.95: // what rounds to 10.0 is 10
		return fmt.Sprintf("%.1f s", s)
	case whole < 120:
		return fmt.Sprintf("%d s", whole)
	}
	return fmt.Sprintf("%d min %d s", whole/60, whole%60)
}

// summary prints how many stages ended in which way, without those of which there are none.
func (p *Progress) summary(e event.Event) {
	c := e.Counts
	var w []string
	for _, x := range []struct {
		n    int
		word string
	}{{c.Ran, "ran"}, {c.Restored, "restored"}, {c.Skipped, "unchanged"}, {c.Failed, "failed"}, {c.Not, "not run"}} {
		if x.n > 0 {
			w = append(w, fmt.Sprintf("%d %s", x.n, x.word))
		}
	}
	if len(w) == 0 {
		w = []string{"no stages"}
	}
	Print(p.W, "%s\n", strings.Join(w, ", "))
}

// line prints "stage  verb  text", the columns as wide as they have been so far. Columns never
// get narrower, and lines that are out cannot be changed.
func (p *Progress) line(stage, verb, text string) {
	if stage == "" {
		Print(p.W, "%s: %s\n", verb, text)
		return
	}
	p.width = max(p.width, len(stage))
	Print(p.W, "%s\n", Row(p.width, stage, verb, text))
}

// Row returns "stage  verb  text", the stage in a column of this width.
func Row(width int, stage, verb, text string) string {
	return strings.TrimRight(fmt.Sprintf("%-*s  %-7s  %s", width, stage, verb, text), " ")
}

// Bytes returns a size for people, in units of 1000.
func Bytes(n int64) string {
	f, unit := float64(n), "B"
	for _, u := range [...]string{"kB", "MB", "GB", "TB"} {
		if f < 999.95 { // what rounds to 1000.0 is 1.0 of the next unit
			break
		}
		f, unit = f/1000, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// Count returns "1 object" or "2 objects".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Answer prints a value as one JSON document that names its form. An object gets the schema as
// its first member; a list becomes the member items of one. So every answer is an object, and
// can grow.
func Answer(w io.Writer, schema string, value any) error { return AnswerOf(w, schema, "", value) }

// AnswerOf is Answer with the directory of the project that it is about, as the second member.
func AnswerOf(w io.Writer, schema, project string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	name, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	if project != "" {
		b, err := json.Marshal(project)
		if err != nil {
			return err
		}
		name = append(append(name, `,"project":`...), b...)
	}
	// The schema is spliced in, which keeps the order of the struct's members.
	rest := `,"items":` + string(b) + "}"
	if b[0] == '{' {
		if rest = string(b[1:]); rest != "}" {
			rest = "," + rest
		}
	}
	return document(w, `{"schema":`+string(name)+rest)
}
