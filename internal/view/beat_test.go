package view_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
)

// printer keeps what is printed until it is taken.
type printer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *printer) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.b.Reset()
	return p.b.String()
}

func TestAHeartbeatSaysWhatRunsAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b printer
		p := &view.Progress{W: &b, Meter: &event.Meter{}, Now: func() time.Time { return time.Now().UTC() }}
		defer p.Start(t.Context())()
		beats := func(after time.Duration, want ...string) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			var got []string
			for line := range strings.Lines(b.take()) {
				if strings.HasPrefix(line, "still") {
					got = append(got, strings.TrimSuffix(line, "\n"))
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("after %s: %q, want %q", after, got, want)
			}
		}
		beats(65 * time.Second) // nothing runs
		p.Event(event.Event{Type: event.Started, Stage: "build"})
		beats(24 * time.Second)
		beats(2*time.Second, "still running: build since 00:01:05 (25 s)")
		p.Event(event.Event{Type: event.Started, Stage: "test"})
		p.Meter.Push.Plan(300e6)
		beats(30*time.Second, "still running: build since 00:01:05 (55 s), test since 00:01:31 (29 s)", "still pushing: 0 B of 300.0 MB")
		p.Meter.Push.Copy(60e6)
		p.Event(event.Event{Type: event.Failed, Stage: "test"})
		beats(30*time.Second, "still running: build since 00:01:05 (85 s)", "still pushing: 60.0 MB of 300.0 MB, 2.0 MB/s, 2 min 1 s left")
		p.Meter.Push.Copy(240e6)
		p.Event(event.Event{Type: event.Decided, Stage: "build"}) // decided again: it does not run any more
		beats(60 * time.Second)
	})
}

func TestWhoWantsNoLinesGetsNoHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []*view.Progress{{Quiet: true}, {JSON: true}} {
			var b printer
			p.W, p.Now = &b, time.Now
			stop := p.Start(t.Context())
			p.Event(event.Event{Type: event.Started, Stage: "build"})
			<-time.After(time.Hour)
			stop()
			if got := b.take(); strings.Contains(got, "still") {
				t.Error(got)
			}
		}
	})
}
