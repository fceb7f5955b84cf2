package process_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/process"
)

// Whoever inherited the locked file holds it. Who opened the same file by another way, or
// inherited one that is not locked (any more), holds nothing.
func TestOnlyWhoHasTheLockedFileHoldsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	locked, other := open(), open()
	if err := syscall.Flock(int(locked.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	heir := child(t, "an heir (1) 2\n\x1b[31m", locked)
	child(t, "stranger", other)
	info, err := other.Stat()
	if err != nil {
		t.Fatal(err)
	}
	want := []int{os.Getpid(), heir}
	slices.Sort(want)
	all := process.Holders(info)
	if !slices.Equal(pids(all), want) {
		t.Errorf("%v hold it, not %v", all, want)
	}
	for _, p := range all {
		if p.PID == heir && (p.Name != "an heir (1) 2??" || p.Parent != os.Getpid()) {
			t.Errorf("%+v", p)
		}
	}
	if err := syscall.Flock(int(locked.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if all := process.Holders(info); len(all) > 0 {
		t.Errorf("%v hold a lock that is free", all)
	}
}

func pids(all []process.Process) (out []int) {
	for _, p := range all {
		out = append(out, p.PID)
	}
	slices.Sort(out)
	return out
}
