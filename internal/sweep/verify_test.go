package sweep_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/digest"
)

// readAll verifies all that l lists.
func readAll(t *testing.T, s sweep.Readable, l store.Lister, workers int) (*sweep.Report, error) {
	return sweep.Verify(t.Context(), s, sweep.Scope{All: l}, sweep.Options{Read: true, Workers: workers})
}

func file(content string) object.Ref { return object.Ref{Digest: digest.Of([]byte(content))} }

// holding returns a store with these files.
func holding(t *testing.T, contents ...string) *mem.Store {
	t.Helper()
	s := mem.New()
	for _, c := range contents {
		must(t, s.Put(t.Context(), file(c), store.Bytes([]byte(c))))
	}
	return s
}

// opening answers Open for one object by itself, or cannot list.
type opening struct {
	*mem.Store
	ref  object.Ref
	open func() (io.ReadCloser, error)
	list error
}

func (o *opening) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	if ref == o.ref && o.open != nil {
		return o.open()
	}
	return o.Store.Open(ctx, ref)
}

func (o *opening) List(ctx context.Context, f func(store.Entry) error) error {
	if o.list != nil {
		return o.list
	}
	return o.Store.List(ctx, f)
}

// reading is a reader whose Close is counted and may fail.
type reading struct {
	io.Reader
	closed int
	err    error
}

func (r *reading) Close() error { r.closed++; return r.err }

func TestVerifyNamesEveryObjectAndTheDamagedOnes(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	s := holding(t, "good", "bad", "worse", large)
	s.Damage(file("bad"), []byte("bod"))
	s.Damage(file("worse"), nil)
	for _, workers := range []int{1, 3} {
		r, err := readAll(t, s, s, workers)
		must(t, err)
		if r.Objects != 4 {
			t.Errorf("%d objects", r.Objects)
		}
		sameFaults(t, "damaged", r.Faults, false, file("bad"), file("worse"))
	}
}

func TestAnObjectThatGoesWhileItIsVerifiedIsNoDamage(t *testing.T) {
	s := &opening{Store: holding(t, "good", "gone"), ref: file("gone")}
	s.open = func() (io.ReadCloser, error) { return nil, store.ErrNotFound }
	if r, err := readAll(t, s, s, 1); err != nil || r.Objects != 2 || r.Faults != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// A disk that fails says nothing of the bytes: neither that they are good nor that they are not.
func TestAnObjectThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("broken")
	for name, open := range map[string]func() (io.ReadCloser, error){
		"not opened": func() (io.ReadCloser, error) { return nil, broken },
		"not read":   func() (io.ReadCloser, error) { return &reading{Reader: iotest.ErrReader(broken)}, nil },
		"not closed": func() (io.ReadCloser, error) { return &reading{Reader: strings.NewReader("x"), err: broken}, nil },
	} {
		s := &opening{Store: holding(t, "x"), ref: file("x"), open: open}
		if r, err := readAll(t, s, s, 1); !errors.Is(err, broken) || r != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	s := &opening{Store: holding(t, "x"), list: broken}
	if r, err := readAll(t, s, s, 1); !errors.Is(err, broken) || r != nil {
		t.Errorf("not listed: %+v, %v", r, err)
	}
}

func TestVerifyClosesWhatItOpens(t *testing.T) {
	for _, content := range []string{"x", "y"} { // good, damaged
		r := &reading{Reader: strings.NewReader(content)}
		opened := 0
		s := &opening{Store: holding(t, "x"), ref: file("x"), open: func() (io.ReadCloser, error) {
			opened++
			return store.Verified(t.Context(), r, file("x")), nil
		}}
		found, err := readAll(t, s, s, 1)
		if err != nil || opened == 0 || r.closed != opened || (found.Faults != nil) != (content != "x") {
			t.Errorf("%q: closed %d times, %+v, %v", content, r.closed, found, err)
		}
	}
}

// What was harmed on the way is good the next time; what is damaged in the store stays so.
func TestAnObjectIsReadThreeTimesBeforeItIsCalledDamaged(t *testing.T) {
	for good, damaged := range map[int]int{1: 0, 2: 0, 3: 0, 4: 1} {
		opened := 0
		s := &opening{Store: holding(t, "x"), ref: file("x"), open: func() (io.ReadCloser, error) {
			opened++
			content := "y"
			if opened == good {
				content = "x"
			}
			return store.Verified(t.Context(), io.NopCloser(strings.NewReader(content)), file("x")), nil
		}}
		r, err := readAll(t, s, s, 1)
		if err != nil || len(r.Faults) != damaged || opened != min(good, 3) {
			t.Errorf("good at read %d: %+v, %v after %d reads", good, r, err, opened)
		}
	}
}
