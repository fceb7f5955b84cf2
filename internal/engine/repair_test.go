package engine_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/sweep"
)

// stubborn is a remote that takes trees, and gives other bytes: a cache in between that never
// asks again.
type stubborn struct {
	store.Remote
	asked int
}

// Open implements store.Store.
func (s *stubborn) Open(ctx context.Context, ref object.Ref) (io.ReadCloser, error) {
	if ref.Shelf != object.Trees {
		return s.Remote.Open(ctx, ref)
	}
	s.asked++
	return store.Verified(ctx, io.NopCloser(strings.NewReader("f 0 something else")), ref), nil
}

func TestARepairThatDoesNotHoldEndsAndIsTold(t *testing.T) {
	p := open(t, "stages:\n  a: {cmd: a, deps: [src], outs: [out/a/]}\n", "src")
	p.repro("a:run", push)
	s := &stubborn{Remote: p.remote}
	p.engine.Carrier.Remote = s
	block := p.locked("a")
	lost, err := p.engine.MendAll(t.Context(), []sweep.Stage{engine.Wanted(p.engine.Project.Stage("a"), block)}, false)
	if err != nil || len(lost) != 1 || lost[0].Ref != object.Of(p.out("a")) {
		t.Errorf("%+v, %v", lost, err)
	}
	if s.asked > 20 {
		t.Errorf("asked %d times", s.asked)
	}
}
