package view_test

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
)

// terminal is as much of one as pipe uses: rows that break when it gets narrow and grow
// together again, a cursor, and what is above the screen. Each character takes one column.
type terminal struct {
	t       *testing.T
	columns int
	lines   []string // each in as many rows as it takes
	nowrap  bool
}

var control = regexp.MustCompile(`^(?:\r|\n|\x1b\[(\d*)([AJm])|\x1b\[\?7([lh]))`)

func (s *terminal) Write(b []byte) (int, error) {
	text := string(b)
	for text != "" {
		m := control.FindStringSubmatch(text)
		if m == nil {
			r, n := utf8.DecodeRuneInString(text)
			s.put(r)
			text = text[n:]
			continue
		}
		text = text[len(m[0]):]
		switch {
		case m[0] == "\n":
			s.lines = append(s.lines, "")
		case m[3] != "":
			s.nowrap = m[3] == "l"
		case m[2] == "A":
			n, _ := strconv.Atoi(m[1])
			s.up(n)
		}
	}
	return len(b), nil
}

func (s *terminal) put(r rune) {
	if r == 0x1b {
		s.t.Fatal("an unknown control sequence")
	}
	last := &s.lines[len(s.lines)-1]
	if s.nowrap && utf8.RuneCountInString(*last) == s.columns {
		*last = (*last)[:s.columns-1]
	}
	*last += string(r)
}

// up moves the cursor; here all below it is erased next, so it is gone already.
func (s *terminal) up(n int) {
	for n > 0 {
		s.lines = s.lines[:len(s.lines)-1]
		last := s.lines[len(s.lines)-1]
		rows := max(1, (utf8.RuneCountInString(last)+s.columns-1)/s.columns)
		if rows > n {
			s.t.Fatalf("the cursor is inside %q", last)
		}
		n -= rows
		s.lines[len(s.lines)-1] = ""
	}
}

func newTerminal(t *testing.T) (*terminal, *view.Screen) {
	s := &terminal{t: t, columns: 40, lines: []string{""}}
	return s, &view.Screen{W: s, Size: func() (int, int) { return s.columns, 10 }}
}

func (s *terminal) String() string { return strings.Join(s.lines, "\n") }

func TestWhatIsPrintedStaysAndWhatIsLiveIsReplaced(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s, screen := newTerminal(t)
		out := screen.Over(s)
		printed, resized := "", false
		var live []string
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			switch rapid.IntRange(0, 2).Draw(r, "step") {
			case 0:
				text := strings.Repeat("x", rapid.IntRange(0, 90).Draw(r, "length")) + rapid.SampledFrom([]string{"\n", "\n", ""}).Draw(r, "end")
				_, _ = io.WriteString(out, text)
				printed += text
			case 1:
				live = nil
				for i := range rapid.IntRange(0, 4).Draw(r, "lines") {
					live = append(live, strings.Repeat(fmt.Sprint(i), rapid.IntRange(1, s.columns).Draw(r, "width")))
				}
				screen.Show(live)
				resized = false
			case 2:
				s.columns, resized = rapid.IntRange(5, 60).Draw(r, "columns"), true
			}
			want := printed
			if strings.HasSuffix("\n"+printed, "\n") {
				for _, l := range live {
					want += l + "\n"
				}
			}
			// What is live may be clipped until it is shown again.
			if got := s.String(); !strings.HasPrefix(got, printed) || got != want && !resized {
				r.Fatalf("the screen has\n%s\nnot\n%s", got, want)
			}
		}
		screen.Show(nil)
		if got := s.String(); got != printed {
			r.Fatalf("in the end the screen has\n%s\nnot\n%s", got, printed)
		}
	})
}

// watch is a run on a terminal whose clock the test moves.
type watch struct {
	*view.Progress
	screen *terminal
	now    time.Time
}

func newWatch(t *testing.T) *watch {
	s, screen := newTerminal(t)
	w := &watch{screen: s, now: noon}
	w.Progress = &view.Progress{W: screen.Over(s), Screen: screen, Meter: &event.Meter{}, Now: func() time.Time { return w.now }}
	return w
}

func (w *watch) after(d time.Duration) {
	w.now = w.now.Add(d)
	w.Tick()
}

// ends checks the last lines on the screen.
func (w *watch) ends(t *testing.T, tail string) {
	t.Helper()
	if got := w.screen.String(); !strings.HasSuffix(got, tail) {
		t.Errorf("the screen is\n%s\nand does not end with\n%s", got, tail)
	}
}

func TestEachStageThatRunsHasALiveLine(t *testing.T) {
	w := newWatch(t)
	w.Event(event.Event{Type: event.Started, Stage: "app"})
	w.ends(t, "app  start\napp  0 s    \n")
	w.Event(event.Event{Type: event.Output, Stage: "app", Text: "compiling"})
	w.after(75 * time.Second)
	w.ends(t, "app  start\napp | compiling\napp  75 s     compiling\n")
	w.Event(event.Event{Type: event.Started, Stage: "tests"})
	w.Event(event.Event{Type: event.Output, Stage: "tests", Text: "\x1b[2J\x1b[31mred\x1b[0m\a\tand " + strings.Repeat("long ", 9)})
	w.Event(event.Event{Type: event.Output, Stage: "app", Text: "linking"})
	w.after(50 * time.Second)
	w.ends(t, "tests | red\tand "+strings.Repeat("long ", 9)+`
app   | linking
app    2 min 5 s  linking
tests  50 s     red\a and long long lon…
`)
	w.Event(event.Event{Type: event.Done, Stage: "app", Verb: event.Run, Seconds: 125})
	w.ends(t, "\ntests  50 s     red\\a and long long lon…\n")
	w.Event(event.Event{Type: event.Failed, Stage: "tests", How: "exit code 1", Exit: 1})
	w.ends(t, "\napp    done     in 2 min 5 s\ntests  FAILED   exit code 1\n")
}

func TestMoreStagesThanRowsAreCounted(t *testing.T) {
	w := newWatch(t)
	for i := range 12 {
		w.Event(event.Event{Type: event.Started, Stage: fmt.Sprintf("s%02d", i)})
	}
	w.ends(t, "s11  start\ns00  0 s    \ns01  0 s    \ns02  0 s    \ns03  0 s    \ns04  0 s    \ns05  0 s    \ns06  0 s    \nand 5 more\n")
}

func TestTheScreenIsLeftAsItWas(t *testing.T) {
	w := newWatch(t)
	stop := w.Start(t.Context())
	w.Event(event.Event{Type: event.Started, Stage: "app"})
	stop()
	w.ends(t, "app  start\n")
	stop()

	// Also while somebody is asked.
	w = newWatch(t)
	w.Event(event.Event{Type: event.Started, Stage: "app"})
	_ = w.Alone(func() error { w.ends(t, "app  start\n"); return nil })
	w.Tick()
	w.ends(t, "app  0 s    \n")
	w.Event(event.Event{Type: event.Summary, Counts: &event.Counts{Ran: 1}})
	w.ends(t, "app  start\n1 ran in 0.0 s\n")
}

func TestATransferHasBytesRateAndWhatIsLeft(t *testing.T) {
	w := newWatch(t)
	w.after(0)
	w.ends(t, "")
	w.Meter.Push.Plan(100e6)
	w.after(0)
	w.ends(t, "push  0 B of 100.0 MB\n")
	w.Meter.Push.Copy(5e6)
	w.after(500 * time.Millisecond) // too early for a rate
	w.ends(t, "push  5.0 MB of 100.0 MB\n")
	w.Meter.Push.Copy(15e6)
	w.screen.columns = 60
	w.after(1500 * time.Millisecond)
	w.ends(t, "push  20.0 MB of 100.0 MB, 10.0 MB/s, 9 s left\n")
	for range 20 { // it gets slow, and the rate follows
		w.Meter.Push.Copy(1e6)
		w.after(time.Second)
	}
	w.ends(t, "push  40.0 MB of 100.0 MB, 1.0 MB/s, 61 s left\n")
	w.after(time.Minute) // it stands still
	w.ends(t, "push  40.0 MB of 100.0 MB\n")
	w.Meter.Pull.Plan(1)
	w.Meter.Push.Copy(60e6)
	w.after(0)
	w.ends(t, "pull  0 B of 1 B\n")
	w.Meter.Pull.Copy(1)
	w.after(0)
	w.ends(t, "")
	if w.screen.String() != "" {
		t.Errorf("left behind: %q", w.screen)
	}
}
