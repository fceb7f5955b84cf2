package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

var _ interface {
	store.Remote
	store.Lister
	store.Cache
} = (*disk.Store)(nil)

func TestConformance(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	storetest.Run(t, func(*testing.T) store.Remote { return disk.Open(dir) })
}

// TestADirectoryMayBeNamedInAnyWay: what looks for the top of the store on the way up must come by it.
func TestADirectoryMayBeNamedInAnyWay(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"/store/", "//store", "/x/../store", "/./store"} {
		s := disk.Open(dir + name)
		ref := put(t, s, []byte(name))
		if _, err := s.Record(t.Context(), object.RunID{Key: digest.Key(ref.Digest)}, []byte(name)); err != nil || s.URL() != filepath.Join(dir, "store") {
			t.Errorf("%s: %s: %v", name, s.URL(), err)
		}
	}
}

func put(t *testing.T, s *disk.Store, b []byte) object.Ref {
	t.Helper()
	ref := storetest.File(b)
	if err := s.Put(t.Context(), ref, store.Bytes(b)); err != nil {
		t.Fatal(err)
	}
	return ref
}

// target returns an empty file to fill.
func target(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// damage changes the bytes of an object, and leaves its size and mode as they were.
func damage(t *testing.T, root string, ref object.Ref) {
	t.Helper()
	path := filepath.Join(root, store.Path(ref))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o444); err != nil {
		t.Fatal(err)
	}
}

func TestObjectsLieWhereAHandFindsThem(t *testing.T) {
	root, b := t.TempDir(), []byte("hello\n")
	s := disk.Open(root)
	ref := put(t, s, b)
	hex := ref.Digest.Hex()
	path := filepath.Join(root, "files", "blake3", hex[:2], hex)
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, b) {
		t.Errorf("%q, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFillWritesVerifiedBytes(t *testing.T) {
	s, b := disk.Open(t.TempDir()), storetest.Noise(t, 700_000)
	f := target(t)
	if err := s.Fill(t.Context(), put(t, s, b), f); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := s.Fill(t.Context(), storetest.File([]byte("other")), target(t)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an object that is not there: %v", err)
	}
}

// LESSONS 9: mode 0444 and the right size are no proof of content.
func TestACorruptObjectIsPutOutOfTheWayAndCanBeStoredAgain(t *testing.T) {
	root, b := t.TempDir(), storetest.Noise(t, 5000)
	s := disk.Open(root)
	ref := put(t, s, b)
	damage(t, root, ref)
	if err := s.Fill(t.Context(), ref, target(t)); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("fill: %v", err)
	}
	if _, err := s.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the damaged object is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "corrupt", ref.Digest.Hex())); err != nil {
		t.Errorf("nothing was kept to look at: %v", err)
	}
	put(t, s, b)
	if err := s.Fill(t.Context(), ref, target(t)); err != nil {
		t.Errorf("stored again: %v", err)
	}
}

func TestABatchNamesNothingBeforeCommit(t *testing.T) {
	root := t.TempDir()
	s, ctx := disk.Open(root), t.Context()
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	content, saved := []byte("by put"), []byte("by save")
	src := target(t)
	if _, err := src.Write(saved); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	tree := (&object.Tree{}).Encode()
	refs := []object.Ref{storetest.File(content), storetest.File(saved), {Shelf: object.Trees, Digest: digest.Of(tree)}}
	if err := errors.Join(b.Put(ctx, refs[2], store.Bytes(tree)), b.Put(ctx, refs[0], store.Bytes(content)), b.Put(ctx, refs[0], store.Bytes(content))); err != nil {
		t.Fatal(err)
	}
	if d, n, err := b.Save(ctx, src); err != nil || d != refs[1].Digest || n != int64(len(saved)) {
		t.Fatalf("save: %s, %d, %v", d, n, err)
	}
	for _, ref := range refs {
		if _, err := s.Stat(ctx, ref); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s before commit: %v", ref, err)
		}
	}
	if err := errors.Join(b.Commit(), b.Close()); err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		if _, err := store.ReadAll(ctx, s, ref, 100); err != nil {
			t.Errorf("%s after commit: %v", ref, err)
		}
	}
	if left := below(t, filepath.Join(root, "tmp")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestABatchOfManyCommitsAll(t *testing.T) {
	s, ctx := disk.Open(t.TempDir()), t.Context()
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	data := func(i int) []byte { return []byte(strconv.Itoa(i)) }
	err = par.Each(ctx, n, 8, func(ctx context.Context, i int) error {
		return b.Put(ctx, storetest.File(data(i)), store.Bytes(data(i)))
	})
	if err := errors.Join(err, b.Commit(), b.Close()); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = s.List(ctx, func(e store.Entry) error { seen++; return nil })
	if err != nil || seen != n {
		t.Errorf("%d objects, %v", seen, err)
	}
}

func TestAClosedBatchLeavesNothing(t *testing.T) {
	root := t.TempDir()
	s := disk.Open(root)
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ref := storetest.File([]byte("x"))
	if err := errors.Join(b.Put(t.Context(), ref, store.Bytes([]byte("x"))), b.Close()); err != nil {
		t.Fatal(err)
	}
	if left := below(t, root); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestFilesOfAKilledBatchDoNotMatter(t *testing.T) {
	root := t.TempDir()
	s, content := disk.Open(root), []byte("half")
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ref := storetest.File(content)
	if err := b.Put(t.Context(), ref, store.Bytes(content)); err != nil {
		t.Fatal(err)
	}
	// No Commit, no Close: as after kill -9.
	other := disk.Open(root)
	if _, err := other.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if err := other.List(t.Context(), func(e store.Entry) error { return fmt.Errorf("listed %s", e.Ref) }); err != nil {
		t.Error(err)
	}
	put(t, other, content)
	if got, err := store.ReadAll(t.Context(), other, ref, 100); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%q, %v", got, err)
	}
}

// below returns the files below a directory.
func below(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestHandlesOfItsOwnPerRacerAgreeOnOneRecordAndLoseNoSwap(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	key := object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
	const racers, each = 16, 5
	winners := make([]string, racers)
	err := par.Each(t.Context(), racers, racers, func(ctx context.Context, i int) error {
		s := disk.Open(root)
		got, err := s.Record(ctx, key, []byte("racer "+strconv.Itoa(i)))
		winners[i] = string(got)
		for n := 0; n < each && err == nil; {
			old, version, lerr := s.Load(ctx, "counter")
			if lerr != nil && !errors.Is(lerr, store.ErrNotFound) {
				return lerr
			}
			switch _, serr := s.Swap(ctx, "counter", version, append(old, '.')); {
			case serr == nil:
				n++
			case !errors.Is(serr, store.ErrConflict):
				return serr
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range winners {
		if w != winners[0] {
			t.Errorf("racer %d was told %q, racer 0 %q", i, w, winners[0])
		}
	}
	if b, _, err := disk.Open(root).Load(t.Context(), "counter"); err != nil || len(b) != racers*each {
		t.Errorf("%d swaps of %d are in: %v", len(b), racers*each, err)
	}
}

func TestAdoptReplacesARecord(t *testing.T) {
	s, key := disk.Open(t.TempDir()), object.RunID{Key: digest.Key(digest.Of([]byte("key")))}
	if _, err := s.Record(t.Context(), key, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), key, []byte("everybody's")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Lookup(t.Context(), key); err != nil || string(got) != "everybody's" {
		t.Errorf("%q, %v", got, err)
	}
	var keys []object.RunID
	err := s.Runs(t.Context(), func(k object.RunID) error { keys = append(keys, k); return nil })
	if err != nil || len(keys) != 1 || keys[0] != key {
		t.Errorf("keys %v, %v", keys, err)
	}
	if err := s.RemoveRecord(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestAMissingParentIsNamedWithTheNextCommand(t *testing.T) {
	root := filepath.Join(t.TempDir(), "not", "mounted")
	s, ref := disk.Open(root), storetest.File([]byte("x"))
	_, swap := s.Swap(t.Context(), "cell", "", []byte("x"))
	for what, err := range map[string]error{
		"put":   s.Put(t.Context(), ref, store.Bytes([]byte("x"))),
		"swap":  swap,
		"probe": s.Probe(t.Context()),
	} {
		var e *diag.Error
		if !errors.As(err, &e) || e.Kind != diag.NotFound || e.Place != root || !strings.Contains(e.Hint, root) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := os.Stat(filepath.Dir(root)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the parent was made: %v", err)
	}
}

func TestAStoreThatIsAFileIsAnError(t *testing.T) {
	f := target(t)
	if err := disk.Open(f.Name()).Put(t.Context(), storetest.File([]byte("x")), store.Bytes([]byte("x"))); err == nil {
		t.Error("no error")
	}
}

func TestACellIsAsOldAsItsFile(t *testing.T) {
	dir := t.TempDir()
	s := disk.Open(dir)
	if _, err := s.Swap(t.Context(), "env/state", "", []byte("one")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "env/state"), old, old); err != nil {
		t.Fatal(err)
	}
	c, err := s.Look(t.Context(), "env/state", "")
	if err != nil || c.Age < time.Hour-time.Second || c.Age > time.Hour+time.Minute {
		t.Errorf("%v, %v", c.Age, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// Who cannot write there cannot see what time it is there.
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	if c, err = s.Look(t.Context(), "env/state", ""); err != nil || c.Age >= 0 || string(c.Value) != "one" {
		t.Errorf("%q, %v, %v", c.Value, c.Age, err)
	}
}
