package disk

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

func TestErrorsOfTheSystemGetAKindAndAHint(t *testing.T) {
	s := Open("/store")
	for errno, kind := range map[syscall.Errno]diag.Kind{
		syscall.ENOSPC: diag.Failed, syscall.EDQUOT: diag.Failed, syscall.EACCES: diag.Auth, syscall.EPERM: diag.Auth, syscall.EROFS: diag.Auth,
	} {
		err := s.mapped(&fs.PathError{Op: "open", Path: "/store/x", Err: errno}, "write")
		var e *diag.Error
		if !errors.As(err, &e) || e.Kind != kind || e.Hint == "" || e.Place != "/store" || !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if err := s.mapped(&fs.PathError{Err: syscall.ENOENT}, "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("not there: %v", err)
	}
	if err := s.mapped(nil, "x"); err != nil {
		t.Errorf("no error became %v", err)
	}
}
