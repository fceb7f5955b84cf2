package transfer_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// noted is what Moved was told.
type noted struct {
	mu    sync.Mutex
	bytes map[string]int64
}

func (n *noted) moved(where string, bytes int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bytes[where] += bytes
}

func TestNotesAreSentWhenTheCacheHasThem(t *testing.T) {
	p := newProject(t)
	log := object.Ref{Shelf: object.Logs, Digest: digest.Of([]byte("log"))}
	lost := object.Ref{Shelf: object.Logs, Digest: digest.Of([]byte("lost"))}
	if err := p.cache.Put(t.Context(), log, store.Bytes([]byte("log"))); err != nil {
		t.Fatal(err)
	}
	n := &noted{bytes: map[string]int64{}}
	c := p.carrier()
	c.Moved = n.moved
	if err := c.Publish(t.Context(), p.outs[:1], log, lost); err != nil {
		t.Fatal(err)
	}
	if !has(t, p.remote.Store, log) || has(t, p.remote.Store, lost) {
		t.Error("the log is not in the remote, or what was lost is")
	}
	if want := int64(len("log") + len("app")); n.bytes["push"] != want {
		t.Errorf("moved %v, want %d", n.bytes, want)
	}
}

// From 16 KiB asking costs less than sending in vain; below, put-if-absent is the question.
func TestOnlyLargeObjectsAreAskedForFirst(t *testing.T) {
	for size, want := range map[int][]string{16<<10 - 1: {"put"}, 16 << 10: {"stat", "put"}} {
		p, b := newProject(t), strings.Repeat("x", size)
		if err := p.cache.Put(t.Context(), ref(b), store.Bytes([]byte(b))); err != nil {
			t.Fatal(err)
		}
		out := []artifact.Output{{Path: "big", Digest: ref(b).Digest, Size: int64(size)}}
		if err := p.carrier().Publish(t.Context(), out); err != nil || !slices.Equal(p.remote.calls, want) {
			t.Errorf("%d bytes: %q, %v", size, p.remote.calls, err)
		}
	}
}

func TestNotesThatCannotBeLookedForAreAnError(t *testing.T) {
	cache := watch(t)
	cache.broken = errDiskFull
	c := &transfer.Carrier{Cache: cache, Remote: watch(t), Workers: 1}
	if err := c.Publish(t.Context(), nil, ref("log")); !errors.Is(err, errDiskFull) {
		t.Errorf("%v", err)
	}
}

func TestOneContentAtManyPathsIsSentOnce(t *testing.T) {
	p, remote := newProject(t), watch(t)
	app := object.Entry{Kind: object.File, Path: "1", Digest: ref("app").Digest, Size: 3}
	tree := &object.Tree{Entries: []object.Entry{app, app}}
	tree.Entries[1].Path = "2"
	at := object.Ref{Shelf: object.Trees, Digest: tree.Digest()}
	if err := p.cache.Put(t.Context(), at, store.Bytes(tree.Encode())); err != nil {
		t.Fatal(err)
	}
	dir := artifact.Output{Path: "copies", Dir: true, Digest: at.Digest, Size: 6, Files: 2}
	outs := []artifact.Output{p.outs[0], p.outs[0], dir, dir}
	outs[1].Path, outs[3].Path = "dist/copy", "more"
	c := &transfer.Carrier{Cache: p.cache, Remote: remote, Workers: 2}
	if err := c.Publish(t.Context(), outs); err != nil || !slices.Equal(remote.sizes(), []int{1, 1}) {
		t.Errorf("%d objects, %v", remote.sizes(), err)
	}
}

func TestWhatIsMovedIsCountedOnce(t *testing.T) {
	p, remote := newProject(t), watch(t)
	files, n := int64(len("app")+len("inside a")+len("inside b")), &noted{bytes: map[string]int64{}}
	tree, err := p.cache.Stat(t.Context(), p.tree)
	if err != nil {
		t.Fatal(err)
	}
	twice := append(slices.Clone(p.outs), p.outs...)
	for range 2 { // the second time the remote has all
		push := &transfer.Carrier{Cache: p.cache, Remote: remote, Workers: 2, Moved: n.moved}
		if err := push.Publish(t.Context(), twice); err != nil {
			t.Fatal(err)
		}
	}
	if n.bytes["push"] != files+tree {
		t.Errorf("%v, want %d", n.bytes, files+tree)
	}
	if last := remote.batches[len(remote.batches)-1]; len(last) != 0 {
		t.Errorf("sent again: %v", last)
	}
	if first := remote.batches[0]; len(first) != 3 {
		t.Errorf("three distinct files became %v", first)
	}
	pull := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: remote, Workers: 2, Moved: n.moved}
	if err := pull.Fetch(t.Context(), twice); err != nil {
		t.Fatal(err)
	}
	// The tree is read to learn its files, and then put from memory.
	if n.bytes["pull"] < files+tree {
		t.Errorf("%v, want %d", n.bytes, files+tree)
	}
}

func TestATreeReadFromTheRemoteIsKnownToBeThere(t *testing.T) {
	p, n := newProject(t), &noted{bytes: map[string]int64{}}
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	c := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 1, Moved: n.moved}
	tree, err := c.Tree(t.Context(), "dist/static", p.tree.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(tree.Encode())); n.bytes["pull"] != want {
		t.Errorf("moved %v, want %d", n.bytes, want)
	}
	p.remote.calls = nil
	if there, err := c.HasOutput(t.Context(), p.outs[1]); err != nil || !there || len(p.remote.calls) != 0 {
		t.Errorf("%v, %v, asked %q", there, err, p.remote.calls)
	}
}

func TestAMalformedTreeOfTheRemoteIsRefused(t *testing.T) {
	p, bad := newProject(t), []byte("no tree at all")
	at := object.Ref{Shelf: object.Trees, Digest: digest.Of(bad)}
	if err := p.remote.Put(t.Context(), at, store.Bytes(bad)); err != nil {
		t.Fatal(err)
	}
	err := p.carrier().Fetch(t.Context(), []artifact.Output{{Path: "dist/bad", Dir: true, Digest: at.Digest}})
	if diag.ExitCode(err) != 7 || !strings.Contains(err.Error(), "dist/bad") {
		t.Errorf("exit code %d, %v", diag.ExitCode(err), err)
	}
}
