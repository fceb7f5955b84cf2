package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
)

// add appends a line to the cell; each line is one of its kind.
func add(line string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(bytes.Clone(old), line+"\n"...), nil }
}

func load(t *testing.T, c store.Cells) string {
	t.Helper()
	b, _, err := c.Load(t.Context(), "cell")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return string(b)
}

func TestWritersAtOnceLoseNothing(t *testing.T) {
	s := mem.New()
	const writers, each = 8, 5
	err := par.Each(t.Context(), writers, writers, func(ctx context.Context, i int) error {
		for n := range each {
			if err := mutate(ctx, s, "cell", add(fmt.Sprintf("%d.%d", i, n))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(load(t, s)) {
		seen[line]++
	}
	for i := range writers {
		for n := range each {
			if got := seen[fmt.Sprintf("%d.%d\n", i, n)]; got != 1 {
				t.Errorf("%d.%d is in %d times", i, n, got)
			}
		}
	}
}

// faulty answers each Swap as told, after it was done or not.
type faulty struct {
	*mem.Store
	answers []answer
	loads   int
	deaf    error // of Load
}

type answer struct {
	done bool // the value is in
	err  error
}

func (f *faulty) Load(ctx context.Context, name string) ([]byte, string, error) {
	f.loads++
	if f.deaf != nil {
		return nil, "", f.deaf
	}
	return f.Store.Load(ctx, name)
}

func (f *faulty) Swap(ctx context.Context, name, old string, value []byte) (string, error) {
	if len(f.answers) == 0 {
		return f.Store.Swap(ctx, name, old, value)
	}
	a := f.answers[0]
	f.answers = f.answers[1:]
	if a.done {
		if _, err := f.Store.Swap(ctx, name, old, value); err != nil {
			return "", err
		}
	}
	return "", a.err
}

func TestAnAnswerThatWasLostIsNotWrittenTwice(t *testing.T) {
	lost := diag.New(diag.Network, "connection reset")
	conflict := fmt.Errorf("cell: %w", store.ErrConflict)
	for name, answers := range map[string][]answer{
		"done, the answer lost":            {{true, lost}},
		"not done, the answer lost":        {{false, lost}},
		"done, and answered as a conflict": {{true, conflict}}, // a retry below met the own value
		"lost twice, then done":            {{false, lost}, {false, lost}, {true, lost}},
		"conflicts, then done":             {{false, conflict}, {false, conflict}, {false, conflict}, {false, conflict}, {false, conflict}},
	} {
		s := &faulty{Store: mem.New(), answers: answers}
		if err := mutate(t.Context(), s, "cell", add("mine")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := load(t, s); got != "mine\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAnErrorThatStaysIsReturned(t *testing.T) {
	down, denied := diag.New(diag.Network, "no route"), diag.New(diag.Auth, "denied")
	for name, c := range map[string]struct {
		answers []answer
		want    error
		loads   int
	}{
		"network": {[]answer{{false, down}, {false, down}, {false, down}, {false, down}, {false, down}}, down, 4},
		"auth":    {[]answer{{false, denied}, {false, denied}}, denied, 1},
	} {
		s := &faulty{Store: mem.New(), answers: c.answers}
		if err := mutate(t.Context(), s, "cell", add("mine")); !errors.Is(err, c.want) || s.loads != c.loads {
			t.Errorf("%s: %v after %d tries", name, err, s.loads)
		}
		if got := load(t, s); got != "" {
			t.Errorf("%s: %q was written", name, got)
		}
	}
}

func TestAnErrorOfTheChangeWritesNothing(t *testing.T) {
	s, refused := mem.New(), errors.New("refused")
	if err := mutate(t.Context(), s, "cell", add("old")); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := mutate(t.Context(), s, "cell", func(old []byte) ([]byte, error) {
		calls++
		return []byte("new"), refused
	})
	if !errors.Is(err, refused) || calls != 1 || load(t, s) != "old\n" {
		t.Errorf("%v after %d calls, the cell is %q", err, calls, load(t, s))
	}
}

func TestTheChangeSeesWhatOthersWrote(t *testing.T) {
	s := &faulty{Store: mem.New()}
	var seen []string
	err := mutate(t.Context(), s, "cell", func(old []byte) ([]byte, error) {
		seen = append(seen, string(old))
		if len(seen) == 1 { // somebody is faster
			if _, err := s.Store.Swap(t.Context(), "cell", "", []byte("theirs")); err != nil {
				t.Error(err)
			}
		}
		return append(bytes.Clone(old), strconv.Itoa(len(seen))...), nil
	})
	if err != nil || len(seen) != 2 || seen[1] != "theirs" || load(t, s) != "theirs2" {
		t.Errorf("%v, saw %q, the cell is %q", err, seen, load(t, s))
	}
}

func TestMutateEndsWithTheContextsCause(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := mutate(ctx, mem.New(), "cell", func([]byte) ([]byte, error) {
		cancel(gone)
		return []byte("x"), nil
	})
	if !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

func TestWhoIsNeverFirstGivesUpWithoutWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make([]answer, tries+1)
		for i := range answers {
			answers[i].err = store.ErrConflict
		}
		s, began := &faulty{Store: mem.New(), answers: answers}, time.Now()
		if err := mutate(t.Context(), s, "cell", add("mine")); !diag.Is(err, diag.Busy) || s.loads != tries {
			t.Errorf("%v after %d tries", err, s.loads)
		}
		if waited := time.Since(began); waited < tries*time.Second/10 || waited > tries*time.Second {
			t.Errorf("waited %v", waited)
		}
		if got := load(t, s); got != "" {
			t.Errorf("%q was written", got)
		}
	})
}

func TestAWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if err := pause(ctx, tries); !errors.Is(err, gone) {
			t.Errorf("%v", err)
		}
	})
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	s := &faulty{Store: mem.New(), deaf: diag.New(diag.Network, "no route")}
	if err := mutate(t.Context(), s, "cell", add("mine")); !errors.Is(err, s.deaf) {
		t.Errorf("%v", err)
	}
	if s.deaf = nil; load(t, s) != "" {
		t.Errorf("%q was written", load(t, s))
	}
}

func TestAWriteThatIsStoppedSaysSoAndNotThatItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, conflict := errors.New("gone"), answer{err: store.ErrConflict}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		s := &faulty{Store: mem.New(), answers: slices.Repeat([]answer{conflict}, tries)}
		if err := mutate(ctx, s, "cell", add("mine")); !errors.Is(err, gone) || s.loads == tries {
			t.Errorf("while it waits: %v after %d tries", err, s.loads)
		}
		s.answers = []answer{{err: diag.New(diag.Network, "the connection was closed")}}
		ctx, stop := context.WithCancelCause(t.Context())
		err := mutate(ctx, s, "cell", func([]byte) ([]byte, error) { stop(gone); return []byte("mine"), nil })
		if !errors.Is(err, gone) {
			t.Errorf("while it writes: %v", err)
		}
	})
}
