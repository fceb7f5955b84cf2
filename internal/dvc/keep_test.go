package dvc

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

func TestNamesInDVCsCacheAreMadeDurable(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	var synced []string
	fs := atomicfile.Files{Before: func(s atomicfile.Step) error {
		rel, err := filepath.Rel(cache, s.Path)
		synced = append(synced, string(s.Op)+" "+filepath.ToSlash(rel))
		return err
	}}
	if err := SyncNames(fs, cache); err != nil || synced != nil {
		t.Errorf("without a cache: %v, %q", err, synced)
	}
	for _, text := range []string{"a", "b"} { // md5 0cc1..., 92eb...
		if _, _, err := Keep(t.Context(), cache, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"sync-dir files/md5/0c", "sync-dir files/md5/92", "sync-dir files/md5", "sync-dir files", "sync-dir ."}
	if err := SyncNames(fs, cache); err != nil || !slices.Equal(synced, want) {
		t.Errorf("%v, %q", err, synced)
	}
}
