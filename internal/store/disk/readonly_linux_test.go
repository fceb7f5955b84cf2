package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

// asNobody takes from this thread what root may do to files, so that the test
// means the same for every user.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	f()
	if err := syscall.Setfsuid(0); err != nil {
		t.Fatal(err)
	}
}

func TestAReadOnlyParentIsNamedWithTheNextCommand(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o555); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(parent, "store")
	var err error
	asNobody(t, func() {
		err = disk.Open(root).Put(t.Context(), storetest.File([]byte("x")), store.Bytes([]byte("x")))
	})
	var e *diag.Error
	if !errors.As(err, &e) || e.Kind != diag.Auth || e.Place != root || !strings.HasPrefix(e.Hint, "check its owner: ls -ld ") {
		t.Errorf("%v", err)
	}
}
