package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// item is a blob to move, and what lock, record or tree announce of it.
type item struct {
	path   repopath.Path
	out    repopath.Path // the output that path is, or lies in
	ref    object.Ref
	size   int64
	tree   []byte // a tree's manifest, which expand has read already
	sha256 string // of a file that asks for it
}

// items are distinct blobs.
type items struct {
	all []item
	at  map[object.Ref]int
}

// add takes a blob once. Two that announce different things of the same bytes
// cannot both be right.
func (l *items) add(it item) error {
	i, ok := l.at[it.ref]
	if !ok {
		l.at[it.ref] = len(l.all)
		l.all = append(l.all, it)
		return nil
	}
	first := &l.all[i]
	if first.size != it.size {
		return announced(it, bytesOf(it.size), bytesOf(first.size))
	}
	if first.sha256 != "" && it.sha256 != "" && first.sha256 != it.sha256 {
		return announced(it, "sha256 "+it.sha256, first.sha256)
	}
	first.sha256 = cmp.Or(first.sha256, it.sha256)
	return nil
}

// wanted is what outputs consist of.
type wanted struct {
	blobs items
	trees []item
	seen  map[object.Ref]*object.Tree
	lost  map[object.Ref]error // objects that cannot be had, and why: a *Missing, or an error of kind integrity
}

// expand returns the distinct blobs of the outputs, and the trees among them, but for
// directories that skip (may be nil) says need not be looked into.
func (c *Carrier) expand(ctx context.Context, outs []artifact.Output, skip func(context.Context, artifact.Output) (bool, error)) (*wanted, error) {
	w := &wanted{blobs: items{at: map[object.Ref]int{}}, seen: map[object.Ref]*object.Tree{}, lost: map[object.Ref]error{}}
	for _, o := range outs {
		ref := object.Of(o)
		if o.Dir && w.seen[ref] == nil && skip != nil {
			if done, err := skip(ctx, o); err != nil {
				return nil, err
			} else if done {
				continue
			}
		}
		err := c.add(ctx, w, o)
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt), diag.Is(err, diag.Integrity):
			w.lost[ref] = err
		default:
			return nil, err
		}
	}
	return w, nil
}

// add adds one output's blobs.
func (c *Carrier) add(ctx context.Context, w *wanted, o artifact.Output) error {
	ref := object.Of(o)
	if !o.Dir {
		return w.blobs.add(item{path: o.Path, out: o.Path, ref: ref, size: o.Size, sha256: o.SHA256})
	}
	t := w.seen[ref]
	if t == nil {
		var err error
		if t, err = c.Tree(ctx, o.Path, o.Digest); err != nil {
			return err
		}
		w.seen[ref] = t
		manifest := t.Encode()
		w.trees = append(w.trees, item{path: o.Path, out: o.Path, ref: ref, size: int64(len(manifest)), tree: manifest})
	}
	if size, n := t.Count(); size != o.Size || n != o.Files {
		return announced(item{path: o.Path, ref: ref}, fmt.Sprintf("%d bytes in %d files", o.Size, o.Files), fmt.Sprintf("%d bytes in %d files", size, n))
	}
	return w.blobs.addTree(o.Path, t)
}

func (l *items) addTree(p repopath.Path, t *object.Tree) error {
	for _, e := range t.Entries {
		if e.IsFile() {
			if err := l.add(item{path: p.Child(string(e.Path)), out: p, ref: object.Ref{Digest: e.Digest}, size: e.Size}); err != nil {
				return err
			}
		}
	}
	return nil
}

// otherSize says what is wrong when the cache has an object of another size than
// announced: its own copy, which then is put out of the way as one that is not
// there, or what was announced.
func (c *Carrier) otherSize(ctx context.Context, it item, size int64) error {
	r, err := c.Cache.Open(ctx, it.ref)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	err = errors.Join(err, r.Close())
	if errors.Is(err, store.ErrCorrupt) {
		return errors.Join(store.ErrNotFound, c.Cache.Quarantine(it.ref))
	}
	if err != nil {
		return err
	}
	return announced(it, bytesOf(it.size), bytesOf(size))
}

func bytesOf(n int64) string { return fmt.Sprintf("%d bytes", n) }

// announced says that lock, record or tree say something else of an object than its bytes do.
func announced(it item, said, is string) error {
	return diag.New(diag.Integrity, "%s: pipe.lock, its record or its tree says %s of %s, but it has %s", it.path, said, it.ref, is).
		Hinted("run pipe verify and pipe verify --remote --read; if no object is damaged, the record or pipe.lock is wrong: build again with pipe repro --force")
}

// checked wraps the bytes of an item so that they end with an error when they have
// another SHA-256 than announced. They are read anyway, and nobody else looks.
func (it item) checked(r io.ReadCloser) io.ReadCloser {
	if it.sha256 == "" || r == nil {
		return r
	}
	return &checked{ReadCloser: r, item: it, h: sha256.New()}
}

type checked struct {
	io.ReadCloser
	item item
	h    hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	_, _ = c.h.Write(p[:n]) // never fails
	if err == io.EOF {
		if got := hex.EncodeToString(c.h.Sum(nil)); got != c.item.sha256 {
			return n, announced(c.item, "sha256 "+c.item.sha256, got)
		}
	}
	return n, err
}
