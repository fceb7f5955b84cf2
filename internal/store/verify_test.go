package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/digest"
)

func fileOf(content string) object.Ref { return object.Ref{Digest: digest.Of([]byte(content))} }

func TestVerifiedEndsCleanlyOnlyWithTheRightBytes(t *testing.T) {
	ref := fileOf("good bytes")
	for _, c := range []struct {
		name, content string
		want          error
	}{
		{"right", "good bytes", nil},
		{"changed", "evil bytes", store.ErrCorrupt},
		{"short", "good byte", store.ErrCorrupt},
		{"long", "good bytes!", store.ErrCorrupt},
		{"empty", "", store.ErrCorrupt},
	} {
		for how, r := range map[string]io.Reader{
			"at once": strings.NewReader(c.content), "byte by byte": iotest.OneByteReader(strings.NewReader(c.content)),
			"the end with the last bytes": iotest.DataErrReader(strings.NewReader(c.content)),
		} {
			b, err := io.ReadAll(store.Verified(t.Context(), io.NopCloser(r), ref))
			if !errors.Is(err, c.want) || c.want == nil && string(b) != c.content {
				t.Errorf("%s, %s: %q, %v", c.name, how, b, err)
			}
			if c.want != nil && diag.ExitCode(err) != 7 {
				t.Errorf("%s, %s: exit code %d", c.name, how, diag.ExitCode(err))
			}
		}
	}
}

// closing notes its Close and may fail it.
type closing struct {
	io.Reader
	err    error
	closed int
}

func (c *closing) Close() error { c.closed++; return c.err }

func TestVerifiedPassesOnErrorsAndClose(t *testing.T) {
	broken, stuck := errors.New("broken"), errors.New("stuck")
	r := &closing{Reader: io.MultiReader(strings.NewReader("go"), iotest.ErrReader(broken)), err: stuck}
	v := store.Verified(t.Context(), r, fileOf("good"))
	if _, err := io.ReadAll(v); !errors.Is(err, broken) || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
	if err := v.Close(); !errors.Is(err, stuck) || r.closed != 1 {
		t.Errorf("close: %v, %d times", err, r.closed)
	}
}

func TestASourceMayBeOpenedAgain(t *testing.T) {
	src := store.Bytes([]byte("twice"))
	for range 2 {
		r, err := src.Open()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != "twice" || src.Size != 5 {
			t.Errorf("%q, %v", b, err)
		}
	}
}

func TestReadAllHasALimit(t *testing.T) {
	s, ref := mem.New(), fileOf("12345")
	if err := s.Put(t.Context(), ref, store.Bytes([]byte("12345"))); err != nil {
		t.Fatal(err)
	}
	if b, err := store.ReadAll(t.Context(), s, ref, 5); err != nil || string(b) != "12345" {
		t.Errorf("just as long: %q, %v", b, err)
	}
	if _, err := store.ReadAll(t.Context(), s, ref, 4); err == nil || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("too long: %v", err)
	}
	if _, err := store.ReadAll(t.Context(), s, fileOf("lost"), 4); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("lost: %v", err)
	}
	s.Damage(ref, []byte("1234x"))
	if _, err := store.ReadAll(t.Context(), s, ref, 5); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

// handing opens one reader, whatever is asked for.
type handing struct {
	*mem.Store
	r io.ReadCloser
}

// Open implements store.Store.
func (h handing) Open(context.Context, object.Ref) (io.ReadCloser, error) { return h.r, nil }

func TestReadAllClosesWhatItOpened(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		r    io.Reader
		want error
	}{{strings.NewReader("12345"), nil}, {iotest.ErrReader(broken), broken}} {
		r := &closing{Reader: c.r}
		if _, err := store.ReadAll(t.Context(), handing{mem.New(), r}, fileOf("12345"), 5); !errors.Is(err, c.want) || r.closed != 1 {
			t.Errorf("%v, closed %d times", err, r.closed)
		}
	}
}

// endless never ends, and counts what was taken.
type endless struct{ taken int }

func (e *endless) Read(p []byte) (int, error) { e.taken += len(p); return len(p), nil }

func TestWhatIsReadOfOthersHasABound(t *testing.T) {
	b, err := store.ReadBounded(bytes.NewReader(make([]byte, store.MaxSmall)), "x")
	if err != nil || len(b) != store.MaxSmall {
		t.Errorf("just as large as it may be: %d bytes, %v", len(b), err)
	}
	e := &endless{}
	if b, err := store.ReadBounded(e, "x"); !diag.Is(err, diag.Integrity) || b != nil || e.taken > 2*store.MaxSmall {
		t.Errorf("too large: %v after %d bytes", err, e.taken)
	}
	broken := errors.New("broken")
	if _, err := store.ReadBounded(iotest.ErrReader(broken), "x"); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if b, err := io.ReadAll(store.Bounded(&endless{}, 5)); err != nil || len(b) != 6 {
		t.Errorf("%d bytes, %v: one more than announced tells that there are too many", len(b), err)
	}
}

func TestNoAnnouncedSizeOverflows(t *testing.T) {
	for _, size := range []int64{math.MaxInt64 - 1, math.MaxInt64} {
		if b, err := io.ReadAll(store.Bounded(strings.NewReader("12345"), size)); err != nil || string(b) != "12345" {
			t.Errorf("%d: %q, %v", size, b, err)
		}
	}
	s, ref := mem.New(), fileOf("12345")
	if err := s.Put(t.Context(), ref, store.Bytes([]byte("12345"))); err != nil {
		t.Fatal(err)
	}
	if b, err := store.ReadAll(t.Context(), s, ref, math.MaxInt64); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
}

// Of what is longer, one byte more than announced is read, however long it is.
func TestWhatDiffersIsSaidAsFarAsItIsKnown(t *testing.T) {
	d := digest.Of(nil)
	for _, c := range []struct {
		size, n int64
		want    string
	}{
		{13, 14, "more than 13 bytes"},
		{1, 2, "more than 1 byte"},
		{13, 12, "12 bytes with digest " + d.String() + ", expected 13 bytes"},
		{13, 13, "13 bytes with digest " + d.String() + ", expected 13 bytes"},
	} {
		err := store.Differs(c.size, c.n, d)
		if want := store.ErrCorrupt.Error() + ": " + c.want; !errors.Is(err, store.ErrCorrupt) || err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestReadTreeTellsDamagedFromMalformed(t *testing.T) {
	s := mem.New()
	tree := &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "f", Digest: digest.Of(nil)}}}
	malformed := []byte("no tree at all")
	for _, b := range [][]byte{tree.Encode(), malformed} {
		if err := s.Put(t.Context(), object.Ref{Shelf: object.Trees, Digest: digest.Of(b)}, store.Bytes(b)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.ReadTree(t.Context(), s, tree.Digest())
	if err != nil || !bytes.Equal(got.Encode(), tree.Encode()) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := store.ReadTree(t.Context(), s, digest.Of(malformed)); err == nil || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("malformed: %v", err)
	}
	s.Damage(object.Ref{Shelf: object.Trees, Digest: tree.Digest()}, malformed)
	if _, err := store.ReadTree(t.Context(), s, tree.Digest()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

func TestPathsAreInvertedOnlyWhenTheyAreOurs(t *testing.T) {
	for i := range object.Shelves {
		ref := object.Ref{Shelf: object.Shelf(i), Digest: digest.Of([]byte("x"))}
		if got, ok := store.RefAt(store.Path(ref)); !ok || got != ref {
			t.Errorf("%s: %v, %v", store.Path(ref), got, ok)
		}
	}
	id := object.RunID{Key: digest.Key(digest.Of([]byte("x"))), Generation: 3}
	for _, id := range []object.RunID{id, {Key: id.Key}} {
		if got, ok := store.RunAt(store.RecordPath(id)); !ok || got != id {
			t.Errorf("%s: %v, %v", store.RecordPath(id), got, ok)
		}
	}
	file, run := store.Path(fileOf("x")), store.RecordPath(id)
	other := "00" + file[len("files/blake3/xx"):]
	for _, path := range []string{"", "x", "files", file + "x", "x/" + file, "others" + file[5:], "files/blake3/" + other, file[:len(file)-1], run} {
		if ref, ok := store.RefAt(path); ok {
			t.Errorf("%q is the path of %s", path, ref)
		}
	}
	for _, path := range []string{"", "runs", run + "x", run + ".1", "x/" + run, file, run[:len(run)-1] + "03", "runs/lock"} {
		if id, ok := store.RunAt(path); ok {
			t.Errorf("%q is the path of %v", path, id)
		}
	}
}

// zeros is a store whose objects never end.
type zeros struct{ store.Store }

func (zeros) Open(context.Context, object.Ref) (io.ReadCloser, error) { return zeros{}, nil }
func (zeros) Read(p []byte) (int, error)                              { clear(p); return len(p), nil }
func (zeros) Close() error                                            { return nil }

func TestATreeBeyondItsBoundIsRefusedAsAMalformedOne(t *testing.T) {
	for what, read := range map[string]func(context.Context, store.Store, digest.Digest) (*object.Tree, error){"tree": store.ReadTree, "list": store.ReadList} {
		if _, err := read(t.Context(), zeros{}, digest.Digest{1}); !diag.Is(err, diag.Integrity) || !errors.Is(err, object.ErrMalformed) || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
