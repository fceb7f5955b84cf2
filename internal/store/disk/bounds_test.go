package disk_test

import (
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
	if err := s.Swap(t.Context(), "projects/shop/env/default/state", "", []byte("mine")); !diag.Is(err, diag.Integrity) {
		t.Errorf("swap: %v", err)
	}
}
