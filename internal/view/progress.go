package view

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/pkg/event"
)

// Progress prints a run's events: as lines for people, or as JSON lines. It may be used for
// one run; all fields but W and Now may be zero.
type Progress struct {
	W      io.Writer
	JSON   bool
	Quiet  bool             // only failures, with the end of what the command printed, notes and the summary
	Form   Form             // how the output of a stage is folded; "": it is not
	Screen *Screen          // W is on this terminal, and live lines show what goes on; nil: heartbeats tell it
	Meter  *event.Meter     // what is transferred; nil: nothing
	Now    func() time.Time // the clock
	Beat   time.Duration    // between heartbeats; 0: Heartbeat

	mu         sync.Mutex // the ticker and the run
	width      int
	running    []*stage // in the order in which they were started
	push, pull gauge
	sections   int // of GitLab, so far
}

// stage is one that runs.
type stage struct {
	name  string
	began time.Time
	since time.Time // when what is held began
	last  string    // what the command printed last
	held  []string  // what was not printed yet
	size  int       // bytes held
}

const (
	// Heartbeat is how often a run without a screen says that it goes on. CI services end jobs
	// that are silent for minutes.
	Heartbeat = 30 * time.Second
	// frame is how often a screen is drawn: often enough for the eye, and next to no work.
	frame = 100 * time.Millisecond
	// maxHeld is how many bytes of a stage's output wait for the end of its group.
	maxHeld = 1 << 20
	// maxWait is how long it waits at most: somebody may look, and a machine that dies takes it along.
	maxWait = 5 * time.Minute
	// maxTail is how many last lines a stage that fails shows when quiet.
	maxTail = 20
)

// Start keeps live lines or heartbeats going until stop is called. That takes the live lines
// off the screen; it may be called again.
func (p *Progress) Start(ctx context.Context) (stop func()) {
	if p.JSON || p.Quiet {
		return func() {}
	}
	every := p.Beat
	if every == 0 {
		every = Heartbeat
	}
	if p.Screen != nil {
		every = frame
	}
	// Beyond the end of ctx: a command that was asked to end may take a while.
	end := par.Background(context.WithoutCancel(ctx), func(ctx context.Context) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.Tick()
			}
		}
	})
	return func() {
		end()
		if p.Screen != nil {
			p.Screen.Show(nil)
		}
	}
}

// Align makes the first column as wide as the longest of these names from the start.
func (p *Progress) Align(stages []string) {
	for _, s := range stages {
		p.width = max(p.width, len(s))
	}
}

// Alone calls ask while nothing is printed or drawn.
func (p *Progress) Alone(ask func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Screen != nil {
		p.Screen.Show(nil)
	}
	return ask()
}

// Event prints one event.
func (p *Progress) Event(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
		p.ended(e.Stage, false) // decided again: it was begun on false premises
		verb, why := Verdict(e.Verb, e.Deploy, e.Check, e.Because)
		p.line(e.Stage, verb, why)
	case event.Planned:
		verb, why := Verdict(e.Verb, e.Deploy, e.Check, e.Because)
		p.line(e.Stage, "plan", verb+": "+why)
	case event.Started:
		p.line(e.Stage, "start", "")
		p.running = append(p.running, &stage{name: e.Stage, began: p.Now(), since: p.Now()})
	case event.Output:
		p.output(e)
		return // the next frame shows it
	case event.Retried:
		p.retried(e)
	case event.Replayed:
		p.replayed(e)
	case event.Done:
		p.done(e)
	case event.Failed:
		p.failed(e)
	case event.Note:
		p.told(e.Stage, "note", e.Text)
	case event.Summary:
		p.summary(e)
	}
	p.draw()
}

// find returns the stage if it runs, else nil.
func (p *Progress) find(name string) *stage {
	if i := slices.IndexFunc(p.running, func(s *stage) bool { return s.name == name }); i >= 0 {
		return p.running[i]
	}
	return nil
}

// ended takes a stage off those that run, after its output.
func (p *Progress) ended(name string, failed bool) {
	if s := p.find(name); s != nil {
		p.fold(s, failed)
		p.running = slices.DeleteFunc(p.running, func(s *stage) bool { return s.name == name })
	}
}

// output prints a line of a command with its stage in front, since several may run at once.
// Where it is folded it is kept until the stage ends, or it is much or old, because groups of several
// stages cannot overlap.
func (p *Progress) output(e event.Event) {
	s := p.find(e.Stage)
	if s == nil {
		s = &stage{} // what does not run is not held, as there is no end to wait for
	}
	s.last = e.Text
	switch {
	case s.name == "" && !p.Quiet:
		p.print(e.Stage, e.Text)
	case p.Quiet:
		if s.held = append(s.held, e.Text); len(s.held) > maxTail {
			s.held = slices.Delete(s.held, 0, 1)
		}
	case p.Form.folds():
		s.held = append(s.held, e.Text)
		if s.size += len(e.Text) + 1; s.size > maxHeld {
			p.fold(s, false)
		}
	default:
		p.print(e.Stage, e.Text)
	}
}

// print prints a line of a command: as it is, where nothing is drawn below it.
func (p *Progress) print(stage, text string) {
	prefix := stage + " | "
	if p.Screen != nil {
		prefix, text = fmt.Sprintf("%-*s | ", p.width, stage), tame(text)
	}
	raw(p.W, Paint(p.W, Dim, prefix)+text+"\n")
}

// done prints that a stage is as it should be, after the output that led there.
func (p *Progress) done(e event.Event) {
	p.ended(e.Stage, false)
	text := Outs(e.Outs)
	switch {
	case e.Verb == event.Undeploy:
		text = "taken down, in " + Seconds(e.Seconds)
	case e.Verb == event.Drift && e.Exit != 0:
		text = fmt.Sprintf("something else runs (exit code %d), in %s", e.Exit, Seconds(e.Seconds))
	case e.Verb == event.Drift:
		text = "as deployed, in " + Seconds(e.Seconds)
	case e.Verb == event.Run:
		switch {
		case e.Deploy:
			text = "live,"
		case e.Check:
			text = "passed"
		}
		text = fmt.Sprintf("%s in %s", text, Seconds(e.Seconds))
	}
	p.line(e.Stage, "done", strings.TrimSpace(text)+Attempts(e.Attempt))
}

// failed prints that a stage failed, below what led to it. Nothing of its output is printed
// twice: here is what was not printed when it came.
func (p *Progress) failed(e event.Event) {
	s := p.find(e.Stage)
	p.ended(e.Stage, true)
	if s != nil {
		for _, text := range s.held {
			p.print(e.Stage, text)
		}
	}
	p.told(e.Stage, "FAILED", e.How+Attempts(e.Attempt))
	if s != nil && len(s.held) > 0 {
		what := e.Stage
		if e.Env != "" {
			what = what[strings.LastIndexByte(what, ':')+1:] + " --env " + e.Env
		}
		Print(p.W, "pipe log %s shows all of its output\n", what)
	}
}

// summary prints how a run ended.
func (p *Progress) summary(e event.Event) {
	p.running = nil
	Print(p.W, "%s\n", Counted(*e.Counts))
}

// Counted says how many stages ended in which way, without those of which there are none, and how
// long it took and would have taken.
func Counted(c event.Counts) string {
	var w []string
	for _, x := range []struct {
		n    int
		word string
	}{{c.Ran, "ran"}, {c.Restored, "restored"}, {c.Added, "added"}, {c.Skipped, "unchanged"}, {c.Omitted, "left out"}, {c.Failed, "failed"}, {c.Not, "not run"}} {
		if x.n > 0 {
			w = append(w, fmt.Sprintf("%d %s", x.n, x.word))
		}
	}
	if len(w) == 0 {
		w = []string{"no stages"}
	}
	saved := ""
	switch {
	case c.Saved < 1: // nobody waits for that
	case c.Unsaved > 0:
		saved = ", saved at least " + Seconds(c.Saved)
	default:
		saved = ", saved " + Seconds(c.Saved)
	}
	return strings.Join(w, ", ") + " in " + Seconds(c.Seconds) + saved
}

// line prints what is left out when quiet.
func (p *Progress) line(stage, verb, text string) {
	if !p.Quiet {
		p.told(stage, verb, text)
	}
}

// told prints "stage  verb  text", the columns as wide as they have been so far. Columns never
// get narrower, and lines that are out cannot be changed.
func (p *Progress) told(stage, verb, text string) {
	if stage == "" {
		Print(p.W, Paint(p.W, verbs[verb], "%s:")+" %s\n", verb, text)
		return
	}
	p.width = max(p.width, len(stage))
	PrintRow(p.W, p.width, stage, verb, text)
}
