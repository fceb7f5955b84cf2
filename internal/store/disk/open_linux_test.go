package disk_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

// A batch of a thousand objects is one of a thousand files: none may stay open.
func TestABatchHoldsNoFileOpen(t *testing.T) {
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	b, err := disk.Open(t.TempDir()).Begin()
	if err != nil {
		t.Fatal(err)
	}
	const objects = 50
	before := open()
	for i := range objects {
		content := fmt.Append(nil, i)
		if err := b.Put(t.Context(), storetest.File(content), store.Bytes(content)); err != nil {
			t.Fatal(err)
		}
	}
	if n := open() - before; n >= objects {
		t.Errorf("%d files are open", n)
	}
	if err := errors.Join(b.Commit(), b.Close()); err != nil {
		t.Error(err)
	}
}
