package disk_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/pkg/digest"
)

// sparse makes a file of 1 TiB that takes no space.
func sparse(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// 1 TiB is read for minutes: by none of the ways that lead there.
func TestEachWayThatReadsAnObjectEndsWithItsContext(t *testing.T) {
	s, root, gone := disk.Open(t.TempDir()), t.TempDir(), errors.New("gone")
	ref := put(t, s, []byte("small"))
	path := filepath.Join(root, store.Path(ref))
	sparse(t, path)
	huge, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = huge.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	batch, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = batch.Close() }()
	other := disk.Open(root)
	src := store.Source{Size: 1 << 40, Open: func() (io.ReadCloser, error) { cancel(gone); return os.Open(path) }}
	if err := batch.Put(ctx, object.Ref{Digest: digest.Digest{1}}, src); !errors.Is(err, gone) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := batch.Save(ctx, huge); !errors.Is(err, gone) {
		t.Errorf("save: %v", err)
	}
	if err := other.Fill(ctx, ref, target(t)); !errors.Is(err, gone) {
		t.Errorf("fill: %v", err)
	}
	if _, err := other.Stat(t.Context(), ref); err != nil {
		t.Errorf("a read that was broken off is no damage: %v", err)
	}
}

func TestARecordOrCellThatIsFarTooLargeIsRefusedAtTheBound(t *testing.T) {
	root, id := t.TempDir(), object.RunID{Key: digest.Key{1}}
	s := disk.Open(root)
	sparse(t, filepath.Join(root, store.RecordPath(id)))
	sparse(t, filepath.Join(root, "projects", "shop", "env", "default", "state"))
	if _, err := s.Lookup(t.Context(), id); !diag.Is(err, diag.Integrity) {
		t.Errorf("record: %v", err)
	}
	if _, _, err := s.Load(t.Context(), "projects/shop/env/default/state"); !diag.Is(err, diag.Integrity) {
		t.Errorf("cell: %v", err)
	}
	if _, err := s.Swap(t.Context(), "projects/shop/env/default/state", "", []byte("mine")); !diag.Is(err, diag.Integrity) {
		t.Errorf("swap: %v", err)
	}
}
