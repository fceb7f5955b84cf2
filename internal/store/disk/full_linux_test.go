package disk_test

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

// fullEnv is set in a process of its own, for the limit also holds for the test
// program's log.
const fullEnv = "DISK_TEST_FULL"

// whileFull runs f while no file may grow beyond so many bytes.
func whileFull(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}()
	f()
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	if os.Getenv(fullEnv) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAFullDiskLeavesNothing$")
		cmd.Env = append(os.Environ(), fullEnv+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir, big := t.TempDir(), storetest.Noise(t, 5000)
	s, src := disk.Open(room(dir)), filepath.Join(dir, "src")
	if err := os.WriteFile(src, big, 0o666); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	b, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var put, save, swap error
	whileFull(t, 1000, func() {
		put = b.Put(t.Context(), storetest.File(big), store.Bytes(big))
		_, _, save = b.Save(t.Context(), in)
		_, swap = s.Swap(t.Context(), "cell", "", big)
	})
	for doing, err := range map[string]error{"put": put, "save": save, "swap": swap} {
		if !errors.Is(err, syscall.EFBIG) {
			t.Errorf("%s: %v", doing, err)
		}
	}
	if left := litter(dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := errors.Join(b.Commit(), b.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), storetest.File(big)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("object: %v", err)
	}
	if _, _, err := s.Load(t.Context(), "cell"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("cell: %v", err)
	}
}
