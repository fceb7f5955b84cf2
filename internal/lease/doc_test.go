package lease_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/store"
)

// state is a document with a lease.
type state struct {
	Seq   int          `json:"seq"`
	Lease *lease.Lease `json:"lease,omitempty"`
	Words []string     `json:"words"`
}

func parse(seen lease.Seen) (s state, err error) {
	if seen.Value != nil {
		err = json.Unmarshal(seen.Value, &s)
	}
	return s, err
}

// edit returns a change by somebody with a nonce. It adds up ages as all writers must.
func edit(nonce string, f func(*state) error) func(lease.Seen) ([]byte, error) {
	return func(seen lease.Seen) ([]byte, error) {
		s, err := parse(seen)
		if err != nil {
			return nil, err
		}
		if err := f(&s); err != nil {
			return nil, err
		}
		lease.Age(seen, nonce, s.Lease)
		s.Seq++
		return json.Marshal(s)
	}
}

// word adds a word, once.
func word(w string) func(lease.Seen) ([]byte, error) {
	return func(seen lease.Seen) ([]byte, error) {
		if s, err := parse(seen); err != nil || slices.Contains(s.Words, w) {
			return seen.Value, err
		}
		return edit("", func(s *state) error { s.Words = append(s.Words, w); return nil })(seen)
	}
}

func (s *server) state(t *testing.T) state {
	t.Helper()
	c, err := s.get("")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(lease.Seen{Value: c.Value})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (l *line) wantRequests(t *testing.T, gets, puts int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gets != gets || l.puts != puts {
		t.Errorf("%d GET and %d PUT, want %d and %d", l.gets, l.puts, gets, puts)
	}
}

func TestAChangeAfterAReadIsOneMoreRequest(t *testing.T) {
	l := &line{server: &server{}}
	d := lease.Open(l, "doc")
	seen, err := d.Read(t.Context())
	if err != nil || seen.Value != nil || seen.Version != "" {
		t.Fatalf("%+v, %v", seen, err)
	}
	for i, w := range []string{"a", "b", "c"} {
		if _, err := d.Change(t.Context(), word(w)); err != nil {
			t.Fatal(err)
		}
		l.wantRequests(t, 1, i+1)
	}
	if _, err := d.Change(t.Context(), word("b")); err != nil {
		t.Error(err)
	}
	l.wantRequests(t, 1, 3) // it stands there already
	other := lease.Open(&line{server: l.server}, "doc")
	if _, err := other.Change(t.Context(), word("d")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Change(t.Context(), word("e")); err != nil {
		t.Error(err)
	}
	l.wantRequests(t, 2, 5)
	if got := strings.Join(l.state(t).Words, ""); got != "abcde" {
		t.Errorf("%q", got)
	}
}

func TestAnAnswerThatWasLostIsNotWrittenTwice(t *testing.T) {
	for name, fates := range map[string][]fate{
		"done, the answer lost":      {unheard},
		"not done, no answer":        {refused},
		"lost three times":           {refused, refused, unheard},
		"no answer at all":           {swallowed},
		"no answer, then it works":   {swallowed, answered},
		"done, then nothing a while": {unheard, swallowed, refused},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &line{server: &server{}}
			l.set(t, `{"words":["old"]}`)
			d := lease.Open(l, "doc")
			if _, err := d.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.fate = func(bool) fate {
				if len(fates) == 0 {
					return answered
				}
				defer func() { fates = fates[1:] }()
				return fates[0]
			}
			if _, err := d.Change(t.Context(), edit("", func(s *state) error { s.Words = append(s.Words, "new"); return nil })); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := l.state(t).Words; !slices.Equal(got, []string{"old", "new"}) {
				t.Errorf("%s: %q", name, got)
			}
		})
	}
}

// Somebody else may have written before this one looks whether its own value is in. What is
// there then is not its value, but its change stands in it.
func TestAWriteOnTopOfOneWhoseAnswerWasLostIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		began := time.Now()
		l.fate = func(write bool) fate {
			if write && l.puts == 1 {
				return unheard
			}
			return answered
		}
		l.delay = func(write bool) time.Duration {
			if !write && l.puts == 1 {
				if _, err := l.put("1", []byte(`{"seq":7,"words":["mine","theirs"]}`)); err != nil && !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			}
			return time.Second
		}
		sent, err := lease.Open(l, "doc").Change(t.Context(), word("mine"))
		if err != nil || l.writes != 2 {
			t.Errorf("%d writes, %v", l.writes, err)
		}
		// A lease counts from the write that put it in.
		if after := sent.Sub(began); after != 2*time.Second {
			t.Errorf("sent after %v", after)
		}
	})
}

func TestAnErrorThatStaysIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		d := lease.Open(l, "doc")
		no := errors.New("no")
		if _, err := d.Change(t.Context(), func(lease.Seen) ([]byte, error) { return nil, no }); err != no {
			t.Errorf("an error of the change: %v", err)
		}
		l.wantRequests(t, 1, 0)
		for _, f := range []fate{refused, swallowed} {
			l.fate = func(bool) fate { return f }
			if _, err := d.Change(t.Context(), word("x")); !diag.Is(err, diag.Network) {
				t.Errorf("%v: %v", f, err)
			}
			if _, err := d.Read(t.Context()); !diag.Is(err, diag.Network) {
				t.Errorf("%v: read: %v", f, err)
			}
		}
		if l.writes != 0 {
			t.Errorf("%d writes", l.writes)
		}
	})
}

// What a change refuses it must refuse on what is there now.
func TestAnErrorOverAnOldReadingIsNotTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{server: &server{}}
		l.set(t, `{"lease":{"nonce":"theirs"}}`)
		d := lease.Open(l, "doc")
		if _, err := d.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		busy := errors.New("busy")
		take := edit("mine", func(s *state) error {
			if s.Lease != nil {
				return busy
			}
			s.Lease = &lease.Lease{Nonce: "mine"}
			return nil
		})
		if _, err := d.Change(t.Context(), take); err != busy {
			t.Fatal(err)
		}
		l.wantRequests(t, 1, 0)
		<-time.After(time.Minute)
		l.set(t, `{}`)
		if _, err := d.Change(t.Context(), take); err != nil {
			t.Error(err)
		}
		l.wantRequests(t, 2, 1)
	})
}
