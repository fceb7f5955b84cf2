package mem_test

import (
	"errors"
	"io"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/store/storetest"
	"github.com/pipe-build/pipe/pkg/digest"
)

func TestConformance(t *testing.T) {
	s := mem.New()
	storetest.Run(t, func(*testing.T) store.Remote { return s })
}

func TestOpenRefusesDamagedBytes(t *testing.T) {
	s, ref := mem.New(), object.Ref{Digest: digest.Of([]byte("good"))}
	s.Damage(ref, []byte("evil"))
	r, err := s.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v, want %v", err, store.ErrCorrupt)
	}
	s.Remove(ref)
	if _, err := s.Stat(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat after remove: %v", err)
	}
}
