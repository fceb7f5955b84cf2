package transfer_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// logged notes what a remote is asked for.
type logged struct {
	*mem.Store
	mu    sync.Mutex
	calls []string
}

func (l *logged) note(call string, ref object.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ref.Shelf == object.Trees {
		call += " tree"
	}
	l.calls = append(l.calls, call)
}

func (l *logged) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	l.note("stat", ref)
	return l.Store.Stat(ctx, ref)
}

func (l *logged) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	l.note("open", ref)
	return l.Store.Open(ctx, ref)
}

func (l *logged) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	l.note("put", ref)
	return l.Store.Put(ctx, ref, src)
}

func (l *logged) took(call string) (n int) {
	for _, c := range l.calls {
		if c == call {
			n++
		}
	}
	return n
}

// project is a cache that holds one file and one directory of two files.
type project struct {
	root   string
	cache  *disk.Store
	remote *logged
	outs   []artifact.Output
	tree   object.Ref
}

func ref(content string) object.Ref { return object.Ref{Digest: digest.Of([]byte(content))} }

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{root: t.TempDir(), remote: &logged{Store: mem.New()}}
	p.cache = disk.Open(p.root)
	tree := &object.Tree{}
	for _, content := range []string{"inside a", "inside b"} {
		r, kind := ref(content), object.File
		if content == "inside b" {
			kind = object.Executable
		}
		tree.Entries = append(tree.Entries, object.Entry{Kind: kind, Path: repopath.Path(content[len(content)-1:]), Digest: r.Digest, Size: int64(len(content))})
	}
	p.tree = object.Ref{Shelf: object.Trees, Digest: tree.Digest()}
	for r, b := range map[object.Ref]string{ref("app"): "app", ref("inside a"): "inside a", ref("inside b"): "inside b", p.tree: string(tree.Encode())} {
		if err := p.cache.Put(t.Context(), r, store.Bytes([]byte(b))); err != nil {
			t.Fatal(err)
		}
	}
	p.outs = []artifact.Output{
		{Path: "dist/app", Digest: ref("app").Digest, Size: 3},
		{Path: "dist/static", Dir: true, Digest: p.tree.Digest, Size: tree.Output("").Size, Files: 2},
	}
	return p
}

func (p *project) carrier() *transfer.Carrier {
	return &transfer.Carrier{Cache: p.cache, Remote: p.remote, Workers: 4}
}

func TestPublishedObjectsCanBeFetchedElsewhere(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	other := disk.Open(t.TempDir())
	c := &transfer.Carrier{Cache: other, Remote: p.remote, Workers: 4}
	if err := c.Fetch(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	for _, r := range []object.Ref{ref("app"), ref("inside a"), ref("inside b"), p.tree} {
		if _, err := store.ReadAll(t.Context(), other, r, 1000); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
	p.remote.calls = nil
	if err := c.Fetch(t.Context(), p.outs); err != nil || len(p.remote.calls) != 0 {
		t.Errorf("fetched again: %v, %q", err, p.remote.calls)
	}
}

func TestATreeIsPutAfterItsFiles(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	if last := slices.Index(p.remote.calls, "put tree"); last != len(p.remote.calls)-1 || p.remote.took("put") != 3 {
		t.Errorf("%q", p.remote.calls)
	}
}

func TestASecondPublishSendsNothing(t *testing.T) {
	p := newProject(t)
	c := p.carrier()
	if err := c.Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	p.remote.calls = nil
	if err := c.Publish(t.Context(), p.outs); err != nil || len(p.remote.calls) != 0 {
		t.Errorf("the same carrier: %v, %q", err, p.remote.calls)
	}
	// LESSONS 29: a tree's presence implies its files', so there is one question for all of it.
	other := p.carrier()
	for range 2 {
		if err := other.Publish(t.Context(), p.outs[1:]); err != nil || !slices.Equal(p.remote.calls, []string{"stat tree"}) {
			t.Errorf("another carrier: %v, %q", err, p.remote.calls)
		}
	}
}

// LESSONS 5: an object that is missing is named, and nothing that implies it is stored.
func TestAMissingObjectIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		lost object.Ref
		path repopath.Path
	}{
		"file": {ref("app"), "dist/app"}, "file of a directory": {ref("inside b"), "dist/static/b"},
	} {
		p := newProject(t)
		if err := p.cache.Remove(t.Context(), c.lost); err != nil {
			t.Fatal(err)
		}
		check := func(doing string, err error) {
			t.Helper()
			var m *transfer.Missing
			if !errors.As(err, &m) || m.Path != c.path || m.Ref != c.lost || m.URL != p.remote.URL() || !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s, %s: %v", name, doing, err)
			}
			e := transfer.Explained(err)
			if again := transfer.Explained(e); again != e { //nolint:errorlint // the very same
				t.Errorf("%s, %s explained twice: %v", name, doing, again)
			}
			if diag.ExitCode(e) != 8 || !strings.Contains(e.Error(), string(c.path)) || !strings.Contains(e.Error(), c.lost.String()) {
				t.Errorf("%s, %s explained: %v", name, doing, e)
			}
		}
		check("publish", p.carrier().Publish(t.Context(), p.outs))
		if _, err := p.remote.Stat(t.Context(), p.tree); name != "file" && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the tree is in the remote without its files: %v", name, err)
		}
		check("fetch", p.carrier().Fetch(t.Context(), p.outs))
	}
}

func TestAMissingTreeIsNamed(t *testing.T) {
	p := newProject(t)
	if err := p.cache.Remove(t.Context(), p.tree); err != nil {
		t.Fatal(err)
	}
	for doing, err := range map[string]error{"publish": p.carrier().Publish(t.Context(), p.outs), "fetch": p.carrier().Fetch(t.Context(), p.outs)} {
		var m *transfer.Missing
		if !errors.As(err, &m) || m.Path != "dist/static" || m.Ref != p.tree {
			t.Errorf("%s: %v", doing, err)
		}
	}
	if err := p.cache.Remove(t.Context(), ref("app")); err != nil {
		t.Fatal(err)
	}
	alone := &transfer.Carrier{Cache: p.cache, Workers: 1}
	if err := alone.Fetch(t.Context(), p.outs[:1]); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "is not in the cache") {
		t.Errorf("a file without a remote: %v", err)
	}
	if err := alone.Fetch(t.Context(), p.outs); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "is not in the cache") {
		t.Errorf("without a remote: %v", err)
	}
	if err := alone.Publish(t.Context(), p.outs); err != nil {
		t.Errorf("without a remote there is nothing to publish to: %v", err)
	}
}

// LESSONS 9: damaged bytes of the cache do not reach the remote.
func TestACorruptSourceIsRefused(t *testing.T) {
	for name, remote := range map[string]func(t *testing.T) store.Remote{
		"one by one": func(*testing.T) store.Remote { return mem.New() },
		"in batches": func(t *testing.T) store.Remote { return disk.Open(t.TempDir()) },
	} {
		p := newProject(t)
		path := filepath.Join(p.root, store.Path(ref("inside b")))
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("inside x"), 0o444)); err != nil {
			t.Fatal(err)
		}
		to := remote(t)
		c := &transfer.Carrier{Cache: p.cache, Remote: to, Workers: 2}
		err := c.Publish(t.Context(), p.outs)
		if !errors.Is(err, store.ErrCorrupt) || diag.ExitCode(err) != 7 || !strings.Contains(err.Error(), "dist/static/b") {
			t.Errorf("%s: exit %d, %v", name, diag.ExitCode(err), err)
		}
		for _, r := range []object.Ref{ref("inside b"), p.tree} {
			if _, err := to.Stat(t.Context(), r); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %s is in the remote: %v", name, r, err)
			}
		}
	}
}

// LESSONS 9: nor do damaged bytes of the remote reach a cache.
func TestDamagedBytesOfTheRemoteAreRefused(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref object.Ref
		to  string
	}{{ref("app"), "bad"}, {p.tree, "pipe-tree 1\n"}} {
		p.remote.Damage(c.ref, []byte(c.to))
		cache := disk.Open(t.TempDir())
		got := &transfer.Carrier{Cache: cache, Remote: p.remote, Workers: 2}
		if err := got.Fetch(t.Context(), p.outs); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", c.ref, err)
		}
		if _, err := cache.Stat(t.Context(), c.ref); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s is in the cache: %v", c.ref, err)
		}
	}
}
