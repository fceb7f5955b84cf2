package transfer_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
)

var errDown = errors.New("down")

// failing is a directory store some of whose calls fail.
type failing struct {
	*disk.Store
	stat, open, put, quarantine error
}

func (f *failing) Stat(ctx context.Context, ref object.Ref) (int64, error) {
	if f.stat != nil {
		return 0, f.stat
	}
	return f.Store.Stat(ctx, ref)
}

func (f *failing) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	if f.open != nil {
		return nil, f.open
	}
	return f.Store.Open(ctx, ref)
}

func (f *failing) Quarantine(ref object.Ref) error {
	return errors.Join(f.quarantine, f.Store.Quarantine(ref))
}

func (f *failing) Begin() (store.Batch, error) {
	b, err := f.Store.Begin()
	return &failingBatch{b, f.put}, err
}

type failingBatch struct {
	store.Batch
	put error
}

func (f *failingBatch) Put(ctx context.Context, ref object.Ref, src store.Source) error {
	if f.put != nil {
		return f.put
	}
	return f.Batch.Put(ctx, ref, src)
}

// mute is a remote that does not say what it has.
type mute struct{ *mem.Store }

func (mute) Stat(context.Context, object.Ref) (int64, error) { return 0, errDown }

// Nothing is said to be missing, or damaged, because a store did not answer.
func TestAStoreThatFailsIsNotOneThatLacksTheObject(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	empty := disk.Open(t.TempDir())
	for name, do := range map[string]func() error{
		"a tree of the cache": func() error {
			c := &transfer.Carrier{Cache: &failing{Store: p.cache, open: errDown}, Remote: p.remote}
			return c.Fetch(t.Context(), p.outs[1:])
		},
		"a tree of the remote": func() error {
			c := &transfer.Carrier{Cache: empty, Remote: &failing{Store: disk.Open(t.TempDir()), open: errDown}}
			return c.Fetch(t.Context(), p.outs[1:])
		},
		"a file of the cache, to be fetched": func() error {
			c := &transfer.Carrier{Cache: &failing{Store: empty, stat: errDown}, Remote: p.remote}
			return c.Fetch(t.Context(), p.outs[:1])
		},
		"a file of the cache, to be sent": func() error {
			c := &transfer.Carrier{Cache: &failing{Store: p.cache, stat: errDown}, Remote: mem.New()}
			return c.Publish(t.Context(), p.outs[:1])
		},
		"what the remote has": func() error {
			c := &transfer.Carrier{Cache: p.cache, Remote: &failing{Store: disk.Open(t.TempDir()), stat: errDown}}
			return c.Publish(t.Context(), p.outs[1:])
		},
		"what a remote without batches has": func() error {
			large := strings.Repeat("x", 16<<10)
			if err := p.cache.Put(t.Context(), ref(large), store.Bytes([]byte(large))); err != nil {
				return err
			}
			c := &transfer.Carrier{Cache: p.cache, Remote: mute{mem.New()}}
			return c.Publish(t.Context(), []artifact.Output{{Path: "large", Digest: ref(large).Digest, Size: int64(len(large))}})
		},
		"what is put into a batch": func() error {
			c := &transfer.Carrier{Cache: p.cache, Remote: &failing{Store: disk.Open(t.TempDir()), put: errDown}}
			return c.Publish(t.Context(), p.outs)
		},
	} {
		var m *transfer.Missing
		if err := do(); !errors.Is(err, errDown) || errors.As(err, &m) || diag.Is(err, diag.Integrity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADamagedTreeThatCannotBePutAwayIsAnError(t *testing.T) {
	p := newProject(t)
	path := filepath.Join(p.root, store.Path(p.tree))
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("pipe-tree 1\n"), 0o444)); err != nil {
		t.Fatal(err)
	}
	c := &transfer.Carrier{Cache: &failing{Store: p.cache, quarantine: errDown}, Remote: p.remote}
	if tree, err := c.Tree(t.Context(), "dist/static", p.tree.Digest); !errors.Is(err, errDown) || tree != nil {
		t.Errorf("%v, %v", tree, err)
	}
}

func TestWhatComesAfterATreeThatTheRemoteHasIsSent(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs[1:]); err != nil {
		t.Fatal(err)
	}
	dirFirst := append(p.outs[1:2:2], p.outs[0])
	if err := p.carrier().Publish(t.Context(), dirFirst); err != nil || !has(t, p.remote.Store, ref("app")) {
		t.Errorf("the file is not there: %v", err)
	}
}
