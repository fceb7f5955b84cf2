package history_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// put puts the content on the shelf and returns its name.
func put(t *testing.T, s *mem.Store, shelf object.Shelf, content string) object.Ref {
	t.Helper()
	ref := object.Ref{Shelf: shelf, Digest: of(content)}
	if err := s.Put(t.Context(), ref, store.Bytes([]byte(content))); err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestBytesThatNoLockNamesAreFoundInCacheAndRemote(t *testing.T) {
	cache, remote := mem.New(), mem.New()
	kept := put(t, cache, object.Files, "kept edit")
	file, tree := put(t, remote, object.Files, "deployed"), put(t, remote, object.Trees, "deployed")
	whole := of("deployed").Hex()
	inCache := func(prefix string) ([]*history.Hit, error) { return history.InCache(t.Context(), cache, prefix) }
	inRemote := func(prefix string) ([]*history.Hit, error) { return history.InRemote(t.Context(), remote, prefix) }
	for _, c := range []struct {
		name, prefix string
		in           func(string) ([]*history.Hit, error)
		want         []object.Ref
	}{
		{"in the cache", of("kept edit").Hex(), inCache, []object.Ref{kept}},
		{"by a prefix", of("kept edit").Hex()[:8], inCache, []object.Ref{kept}},
		{"not in the cache", whole, inCache, nil},
		{"in the remote, on every shelf", whole, inRemote, []object.Ref{file, tree}},
		{"in the remote by a prefix: nobody asks it", whole[:len(whole)-1], inRemote, nil},
		{"not in the remote", of("kept edit").Hex(), inRemote, nil},
	} {
		hits, err := c.in(c.prefix)
		var got []object.Ref
		for _, h := range hits {
			got = append(got, h.Ref)
			if h.What != history.Object || h.Size == 0 {
				t.Errorf("%s: %+v", c.name, h)
			}
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := inRemote("g" + whole[1:]); err == nil {
		t.Error("what is no hash was looked for in the remote")
	}
}

var errDown = errors.New("down")

// down answers nothing.
type down struct{ *mem.Store }

func (down) Stat(context.Context, object.Ref) (int64, error)     { return 0, errDown }
func (down) List(context.Context, func(store.Entry) error) error { return errDown }

func TestAStoreThatDoesNotAnswerIsNotOneWithoutTheBytes(t *testing.T) {
	hash := of("x").Hex()
	for what, ask := range map[string]func() ([]*history.Hit, error){
		"the remote": func() ([]*history.Hit, error) { return history.InRemote(t.Context(), down{mem.New()}, hash) },
		"the cache":  func() ([]*history.Hit, error) { return history.InCache(t.Context(), down{mem.New()}, hash) },
	} {
		if hits, err := ask(); !errors.Is(err, errDown) || len(hits) > 0 {
			t.Errorf("%s: %v, %v", what, hits, err)
		}
	}
}

func TestAHitNamesEachBranchAndTagThatHasItOnce(t *testing.T) {
	r := newRepo(t)
	r.commit(lock("one").Encode())
	r.commit(lock("two").Encode())
	r.git("tag", "v1")
	r.commit(lock("one").Encode())
	r.git("branch", "side")
	hits := find(t, r.open(), nil, of("one").Hex(), nil)
	if len(hits) != 1 || len(hits[0].Commit) != 2 {
		t.Fatalf("%+v", hits)
	}
	names, err := hits[0].Refs(t.Context(), r.open())
	slices.Sort(names)
	if want := []string{"main", "side", "v1"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v, want %q", names, err, want)
	}
	// One that only the workspace's lock names is in no commit, and git is not asked.
	if names, err := (&history.Hit{}).Refs(t.Context(), nil); err != nil || names != nil {
		t.Errorf("%q, %v", names, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if names, err := hits[0].Refs(ctx, r.open()); err == nil {
		t.Errorf("stopped: %q", names)
	}
}

// A lock whose bytes are lost names nobody knows what: it is not one that names nothing.
func TestALockThatGitLostIsAnError(t *testing.T) {
	r := newRepo(t)
	r.commit(lock("one").Encode())
	blob := r.git("rev-parse", "HEAD:pipe.lock")
	r.commit(lock("two").Encode())
	if err := os.Remove(filepath.Join(r.dir, ".git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	if err := history.Locks(t.Context(), r.open(), "pipe.lock", time.Time{}, func(*lockfile.File) error { return nil }); err == nil {
		t.Error("garbage would be collected without it")
	}
	if past, err := history.Find(t.Context(), r.open(), "pipe.lock", nil, of("one").Hex(), nil, func(error) {}); err == nil {
		t.Errorf("found %v", past.Hits)
	}
}
