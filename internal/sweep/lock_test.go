package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/sweep"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// asked counts what a store is asked for.
type asked struct {
	*mem.Store
	mu    sync.Mutex
	calls []string
}

func (a *asked) note(call string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
}

func (a *asked) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	a.note("stat " + store.Path(ref))
	return a.Store.Stat(ctx, ref)
}

func (a *asked) Lookup(ctx context.Context, id object.RunID) ([]byte, error) {
	a.note("look up " + store.RecordPath(id))
	return a.Store.Lookup(ctx, id)
}

// build is a remote that has one stage with two outputs, a file and a directory, of
// which one file is the same as the first output.
type build struct {
	s          *asked
	stage      sweep.Stage
	rec        *object.Record
	file, tree object.Ref
	log, list  object.Ref
}

func put1(t *testing.T, s *mem.Store, shelf object.Shelf, b []byte) object.Ref {
	t.Helper()
	ref := object.Ref{Shelf: shelf, Digest: digest.Of(b)}
	must(t, s.Put(t.Context(), ref, store.Bytes(b)))
	return ref
}

func newBuild(t *testing.T) *build {
	t.Helper()
	b := &build{s: &asked{Store: mem.New()}}
	b.file, b.log = put1(t, b.s.Store, object.Files, []byte("one")), put1(t, b.s.Store, object.Logs, []byte("log"))
	tree := &object.Tree{}
	for i, content := range []string{"one", "two", "three"} {
		r := put1(t, b.s.Store, object.Files, []byte(content))
		tree.Entries = append(tree.Entries, object.Entry{Kind: object.File, Path: repopath.Path(fmt.Sprint("f", i)), Digest: r.Digest, Size: int64(len(content))})
	}
	b.list, b.tree = put1(t, b.s.Store, object.Inputs, tree.Encode()), put1(t, b.s.Store, object.Trees, tree.Encode())
	id := object.RunID{Key: digest.Key{5}}
	b.stage = sweep.Stage{
		Name: "app", Run: &id, Outs: []artifact.Output{{Path: "a", Digest: b.file.Digest, Size: 3}, tree.Output("d")},
		Keeps: func(p repopath.Path) bool { return p != "git" },
	}
	b.rec = &object.Record{ID: id, Stage: "app", At: time.Unix(0, 0).UTC(), Log: b.log.Digest, Inputs: []digest.Digest{b.list.Digest}}
	b.rec.Outs = append(slices.Clone(b.stage.Outs), artifact.Output{Path: "git", Digest: digest.Of([]byte("kept by git")), Size: 9})
	b.record(t)
	return b
}

// record makes rec the remote's.
func (b *build) record(t *testing.T) {
	t.Helper()
	value, err := b.rec.Encode()
	must(t, err)
	must(t, b.s.Adopt(t.Context(), *b.stage.Run, value))
}

func (b *build) verify(t *testing.T, opt sweep.Options) *sweep.Report {
	t.Helper()
	opt.Workers = 3
	r, err := sweep.Verify(t.Context(), b.s, sweep.Scope{Stages: []sweep.Stage{b.stage}}, opt)
	must(t, err)
	return r
}

func TestWhatALockNamesIsLookedAtOnceEach(t *testing.T) {
	b := newBuild(t)
	if r := b.verify(t, sweep.Options{}); r.Faults != nil || r.Objects != 6 || r.Records != 1 || r.Bytes == 0 {
		t.Errorf("%+v", r)
	}
	slices.Sort(b.s.calls) // a record and three files; the tree, the list and the log were read
	if len(b.s.calls) != 4 || len(slices.Compact(slices.Clone(b.s.calls))) != 4 {
		t.Errorf("asked %q", b.s.calls)
	}
	b.s.calls = nil
	if r := b.verify(t, sweep.Options{Shallow: true}); r.Faults != nil || len(b.s.calls) != 3 {
		t.Errorf("shallow: %+v, asked %q", r, b.s.calls)
	}
}

// Each harm is found, at its path, and by whom it is found.
func TestEachHarmToWhatALockNamesIsFound(t *testing.T) {
	inner := file("three")
	for _, c := range []struct {
		what string
		harm func(b *build)
		path string // of the one fault
		name func(b *build) string
		gone bool
		read bool // only Read finds it
	}{
		{"file deleted", func(b *build) { b.s.Remove(file("one")) }, "a", func(b *build) string { return store.Path(b.file) }, true, false},
		{"file cut", func(b *build) { b.s.Damage(file("one"), []byte("on")) }, "a", func(b *build) string { return store.Path(b.file) }, false, false},
		{"file empty", func(b *build) { b.s.Damage(file("one"), nil) }, "a", func(b *build) string { return store.Path(b.file) }, false, false},
		{"file flipped", func(b *build) { b.s.Damage(file("one"), []byte("onf")) }, "a", func(b *build) string { return store.Path(b.file) }, false, true},
		{"inner deleted", func(b *build) { b.s.Remove(inner) }, "d/f2", func(*build) string { return store.Path(inner) }, true, false},
		{"inner cut", func(b *build) { b.s.Damage(inner, []byte("t")) }, "d/f2", func(*build) string { return store.Path(inner) }, false, false},
		{"inner is another", func(b *build) { b.s.Damage(inner, []byte("other")) }, "d/f2", func(*build) string { return store.Path(inner) }, false, true},
		{"tree deleted", func(b *build) { b.s.Remove(b.tree) }, "d", func(b *build) string { return store.Path(b.tree) }, true, false},
		{"tree flipped", func(b *build) { b.s.Damage(b.tree, []byte("pipe-tree 1\n")) }, "d", func(b *build) string { return store.Path(b.tree) }, false, false},
		{"log deleted", func(b *build) { b.s.Remove(b.log) }, "log", func(b *build) string { return store.Path(b.log) }, true, false},
		{"log flipped", func(b *build) { b.s.Damage(b.log, []byte("lie")) }, "log", func(b *build) string { return store.Path(b.log) }, false, false},
		{"list cut", func(b *build) { b.s.Damage(b.list, nil) }, "input list", func(b *build) string { return store.Path(b.list) }, false, false},
		{"record damaged", func(b *build) {
			must(t, b.s.Adopt(t.Context(), *b.stage.Run, []byte("{}")))
		}, "record", func(b *build) string { return store.RecordPath(*b.stage.Run) }, false, false},
		{"record gone", func(b *build) {
			id := object.RunID{Key: digest.Key{6}}
			b.stage.Run = &id
		}, "record", func(b *build) string { return store.RecordPath(*b.stage.Run) }, true, false},
		{"record names what never was", func(b *build) {
			b.rec.Outs[0].Digest = digest.Of([]byte("never"))
			b.record(t)
		}, "a", func(*build) string { return store.Path(file("never")) }, true, false},
	} {
		b := newBuild(t)
		c.harm(b)
		found := func(opt sweep.Options) bool {
			r := b.verify(t, opt)
			if len(r.Faults) > 1 || len(r.Faults) == 1 && (r.Faults[0].Path != c.path || r.Faults[0].Stage != "app" || r.Faults[0].Name() != c.name(b) || r.Faults[0].Missing != c.gone) {
				t.Errorf("%s: %+v", c.what, r.Faults)
			}
			return len(r.Faults) == 1
		}
		if !found(sweep.Options{Read: true}) || found(sweep.Options{}) == c.read {
			t.Errorf("%s: not found, or without reading", c.what)
		}
		top := c.path == "a" && !c.read || c.path == "record" || c.what == "tree deleted"
		if found(sweep.Options{Shallow: true}) != top {
			t.Errorf("%s: shallow does not agree", c.what)
		}
	}
}

func TestARecordOfANewerPipeIsRightAndSaysNothing(t *testing.T) {
	b := newBuild(t)
	must(t, b.s.Adopt(t.Context(), *b.stage.Run, []byte(`{"schema":2}`+"\n")))
	if r := b.verify(t, sweep.Options{}); r.Faults != nil || r.Objects != 4 {
		t.Errorf("%+v", r)
	}
}

// With a listing, what stages name is looked up in it, and all else is looked at, too.
func TestAListingAnswersForWhatIsInIt(t *testing.T) {
	b := newBuild(t)
	stray := put1(t, b.s.Store, object.Logs, []byte("of nobody"))
	b.s.Damage(stray, bytes.ToUpper([]byte("of nobody")))
	b.s.Damage(file("two"), []byte("cut"+"!"))
	b.s.Remove(file("three"))
	r, err := sweep.Verify(t.Context(), b.s, sweep.Scope{Stages: []sweep.Stage{b.stage}, All: b.s}, sweep.Options{Workers: 1})
	must(t, err)
	sameFaults(t, "damaged", r.Faults, false, stray, file("two"))
	sameFaults(t, "missing", r.Faults, true, file("three"))
	var stats []string
	for _, c := range b.s.calls {
		if strings.HasPrefix(c, "stat ") {
			stats = append(stats, c)
		}
	}
	if len(stats) != 1 || r.Records != 1 {
		t.Errorf("asked %q; %d records", stats, r.Records)
	}
}

func TestARemoteThatDoesNotAnswerIsNoFault(t *testing.T) {
	b, down := newBuild(t), errors.New("down")
	if r, err := sweep.Verify(t.Context(), lookless{b.s, down}, sweep.Scope{Stages: []sweep.Stage{b.stage}}, sweep.Options{Workers: 1}); !errors.Is(err, down) || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

type lookless struct {
	*asked
	err error
}

func (l lookless) Lookup(context.Context, object.RunID) ([]byte, error) { return nil, l.err }
