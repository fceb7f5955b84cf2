package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/atomicfile/powercut"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

// BenchmarkSave is the way of a large file into the cache, without the wait for the disk.
func BenchmarkSave(b *testing.B) {
	const size = 64 << 20
	path := filepath.Join(b.TempDir(), "src")
	if err := os.WriteFile(path, storetest.Noise(b, size), 0o666); err != nil {
		b.Fatal(err)
	}
	s := disk.OpenOn(atomicfile.Files{Before: powercut.NoSync}, b.TempDir())
	b.SetBytes(size)
	for b.Loop() {
		src, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		batch, err := s.Begin()
		if err != nil {
			b.Fatal(err)
		}
		_, _, err = batch.Save(b.Context(), src)
		if err := errors.Join(err, batch.Close(), src.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRun is what one stage's run writes: a few files in one batch, then the
// record, all made durable by a process that has just begun.
func BenchmarkRun(b *testing.B) {
	for _, n := range []int{1, 5, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			root, made := b.TempDir(), 0
			for b.Loop() {
				s := disk.Open(root)
				batch, err := s.Begin()
				if err != nil {
					b.Fatal(err)
				}
				for range n {
					made++
					content := []byte(strconv.Itoa(made))
					if err := batch.Put(b.Context(), storetest.File(content), store.Bytes(content)); err != nil {
						b.Fatal(err)
					}
				}
				id := object.RunID{Key: digest.Key(digest.Of([]byte(strconv.Itoa(made))))}
				err = errors.Join(batch.Commit(), batch.Close())
				if _, rerr := s.Record(b.Context(), id, []byte("record")); err != nil || rerr != nil {
					b.Fatal(err, rerr)
				}
			}
		})
	}
}
