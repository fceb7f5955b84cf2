package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Load implements store.Cells. The version is the value's digest: values carry
// a number that grows, so none comes twice.
func (s *Store) Load(ctx context.Context, name string) ([]byte, string, error) {
	if err := check(ctx, name); err != nil {
		return nil, "", err
	}
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		return nil, "", s.mapped(err, name)
	}
	return b, digest.Of(b).Hex(), nil
}

// Swap implements store.Cells: compare and replace under a file lock.
func (s *Store) Swap(ctx context.Context, name, old string, value []byte) (err error) {
	if err := check(ctx, name); err != nil {
		return err
	}
	path := s.path(name)
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	lock, err := atomicfile.Acquire(ctx, path+lockSuffix, atomicfile.Exclusive, nil)
	if err != nil {
		return s.mapped(err, name)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	_, version, err := s.Load(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if version != old {
		return fmt.Errorf("%s: %w", name, store.ErrConflict)
	}
	return s.mapped(atomicfile.Write(path, value, 0o666, ""), name)
}

// check refuses a name that could lead out of the store.
func check(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if name == "." || !fs.ValidPath(name) {
		return diag.New(diag.Usage, "%q is not the name of a cell", name)
	}
	return nil
}

const lockSuffix = ".lock"

// Probe implements store.Remote.
func (s *Store) Probe(ctx context.Context) error {
	name := "probe/" + rand.Text()
	steps := []struct {
		what, version string
		want          error
	}{
		{"create", "", nil},
		{"create again", "", store.ErrConflict},
		{"replace by a stale version", digest.Of(nil).Hex(), store.ErrConflict},
	}
	for _, st := range steps {
		err := s.Swap(ctx, name, st.version, []byte("probe\n"))
		if err != nil && st.want == nil {
			return err
		}
		if !errors.Is(err, st.want) {
			return diag.New(diag.Policy, "%s: got %v, want %v", st.what, err, st.want).At(s.root)
		}
	}
	return errors.Join(os.Remove(s.path(name)), os.Remove(s.path(name)+lockSuffix))
}

// Names implements store.Lister.
func (s *Store) Names(_ context.Context, prefix string, f func(string) error) error {
	root := s.path(prefix)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, lockSuffix) || strings.HasPrefix(d.Name(), ".tmp-") {
			return err
		}
		rel, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements store.Lister.
func (s *Store) List(_ context.Context, f func(store.Entry) error) error {
	for _, tree := range []bool{false, true} {
		top := filepath.Dir(filepath.Dir(s.object(object.Ref{Tree: tree})))
		fans, err := os.ReadDir(top)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, fan := range fans {
			if err := s.listFan(filepath.Join(top, fan.Name()), fan.Name(), tree, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) listFan(dir, fan string, tree bool, f func(store.Entry) error) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		d, err := digest.ParseHex(fan + n.Name())
		if err != nil {
			continue // not ours
		}
		info, err := n.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f(store.Entry{Ref: object.Ref{Tree: tree, Digest: d}, Size: info.Size(), Unix: info.ModTime().Unix()}); err != nil {
			return err
		}
	}
	return nil
}

// Keys calls f for each record's key, in no order.
func (s *Store) Keys(ctx context.Context, f func(digest.Key) error) error {
	return s.Names(ctx, "runs", func(name string) error {
		if key, err := digest.ParseKey(filepath.Base(name)); err == nil {
			return f(key)
		}
		return nil
	})
}
