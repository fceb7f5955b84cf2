package transfer_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
)

func TestAnObjectOfAnotherSizeInTheRemoteIsSentAgain(t *testing.T) {
	p, big := newProject(t), strings.Repeat("x", 16<<10)
	if err := p.cache.Put(t.Context(), ref(big), store.Bytes([]byte(big))); err != nil {
		t.Fatal(err)
	}
	outs := append(p.outs, artifact.Output{Path: "big", Digest: ref(big).Digest, Size: int64(len(big))})
	if err := p.carrier().Publish(t.Context(), outs); err != nil {
		t.Fatal(err)
	}
	for _, r := range []object.Ref{ref("app"), p.tree, ref(big)} {
		p.remote.Damage(r, []byte("xy"))
	}
	c := p.carrier()
	for _, o := range outs {
		if there, err := c.HasOutput(t.Context(), o); err != nil || there {
			t.Errorf("%s: %v, %v", o.Path, there, err)
		}
	}
	if err := c.Publish(t.Context(), outs); err != nil {
		t.Fatal(err)
	}
	elsewhere := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 4}
	if err := elsewhere.Fetch(t.Context(), outs); err != nil {
		t.Error(err)
	}
}

func TestMendPutsGoodBytesOverWhateverIsThere(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	p.remote.Damage(ref("app"), []byte("apq"))
	p.remote.Damage(p.tree, []byte("inside a"))
	p.remote.Remove(ref("inside b"))
	p.remote.calls = nil
	lost, err := p.carrier().Mend(t.Context(), nil, []object.Ref{p.tree, ref("app"), ref("inside b")})
	if err != nil || lost != nil || p.remote.calls[len(p.remote.calls)-1] != "put tree" {
		t.Errorf("lost %v, %v, %q", lost, err, p.remote.calls)
	}
	elsewhere := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 4}
	if err := elsewhere.Fetch(t.Context(), p.outs); err != nil {
		t.Error(err)
	}
}

func TestMendSendsNeitherDamageNorATreeWithoutItsFiles(t *testing.T) {
	p := newProject(t)
	path := filepath.Join(p.root, filepath.FromSlash(store.Path(ref("inside a"))))
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, []byte("inside z"), 0o644)); err != nil {
		t.Fatal(err)
	}
	lost, err := p.carrier().Mend(t.Context(), nil, []object.Ref{p.tree, ref("app"), ref("inside a"), ref("nowhere")})
	if err != nil || len(lost) != 3 || !slices.Contains(lost, p.tree) || slices.Contains(lost, ref("app")) {
		t.Errorf("lost %v, %v", lost, err)
	}
	if has(t, p.remote.Store, p.tree) || has(t, p.remote.Store, ref("inside a")) || !has(t, p.remote.Store, ref("app")) {
		t.Error("the remote has what was lost, or lacks what was not")
	}
	if _, err := p.cache.Stat(t.Context(), ref("inside a")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the cache keeps the damaged one: %v", err)
	}
	if err := p.cache.Remove(t.Context(), p.tree); err != nil {
		t.Fatal(err)
	}
	if lost, err = p.carrier().Mend(t.Context(), nil, []object.Ref{p.tree, ref("nowhere")}); err != nil || len(lost) != 2 {
		t.Errorf("without the tree: %v, %v", lost, err)
	}
}

func TestLostNamesEachFileThatIsNowhere(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	dir := p.outs[1]
	empty := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 4}
	check := func(what string, c *transfer.Carrier, want ...string) {
		t.Helper()
		c = &transfer.Carrier{Cache: c.Cache, Remote: c.Remote, Workers: 4, NoFetch: c.NoFetch} // that has learned nothing
		err := c.Lost(t.Context(), dir)
		if (err == nil) != (len(want) == 0) || err != nil && !errors.As(err, new(*transfer.Missing)) {
			t.Errorf("%s: %v", what, err)
		}
		for _, path := range want {
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v lacks %s", what, err, path)
			}
		}
	}
	check("in the remote alone", empty)
	check("not asked", &transfer.Carrier{Cache: empty.Cache, Remote: p.remote, NoFetch: true}, "dist/static")
	p.remote.Remove(ref("inside a"))
	p.remote.Damage(ref("inside b"), []byte("cut"))
	check("in the cache alone", p.carrier())
	check("without a remote", &transfer.Carrier{Cache: p.cache})
	check("nowhere", empty, "dist/static/a", "dist/static/b")
	p.remote.Damage(p.tree, []byte("no tree"))
	check("the tree is damaged", empty, "dist/static: tree ")
	p.remote.Remove(p.tree)
	check("the tree is nowhere", empty, "dist/static: tree ")
	if err := p.cache.Remove(t.Context(), ref("inside a")); err != nil {
		t.Fatal(err)
	}
	check("the cache has a part", p.carrier(), "dist/static/a")
	path := filepath.Join(p.root, filepath.FromSlash(store.Path(ref("inside b"))))
	if err := errors.Join(os.Chmod(path, 0o644), os.Truncate(path, 1)); err != nil {
		t.Fatal(err)
	}
	check("the cache's other one is cut", p.carrier(), "dist/static/a", "dist/static/b")
}
