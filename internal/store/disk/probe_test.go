package disk

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

// A share without locks grants each open file its own.
func TestProbeRefusesLocksThatExcludeNobody(t *testing.T) {
	deaf := func(path string, m atomicfile.Mode) (*atomicfile.Lock, error) {
		return (atomicfile.Files{}).TryAcquire(path+rand.Text(), m)
	}
	if err := Open(t.TempDir()).probe(t.Context(), deaf); !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
}

func TestProbeRefusesLocksThatNobodyGets(t *testing.T) {
	held := func(string, atomicfile.Mode) (*atomicfile.Lock, error) { return nil, nil }
	if err := Open(t.TempDir()).probe(t.Context(), held); !diag.Is(err, diag.Policy) {
		t.Errorf("%v", err)
	}
}

func TestProbeLeavesNothing(t *testing.T) {
	root := t.TempDir()
	for range 2 {
		if err := Open(root).Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(root, "probe", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestAProbeThatFailsSaysWhyAndLeavesNothing: a disk that fails says nothing about
// what the store supports, which is what Policy would tell.
func TestAProbeThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	broken := errors.New("broken")
	for n := 1; ; n++ {
		root, steps := t.TempDir(), 0
		s := Open(root)
		s.files.Before = func(step atomicfile.Step) error {
			if step.Op == atomicfile.OpRemove {
				return nil
			}
			if steps++; steps == n {
				return broken
			}
			return nil
		}
		err := s.Probe(t.Context())
		if steps < n {
			if n < 5 {
				t.Errorf("only %d steps", n)
			}
			return
		}
		if !errors.Is(err, broken) || diag.Is(err, diag.Policy) {
			t.Errorf("step %d: %v", n, err)
		}
		if left, err := filepath.Glob(filepath.Join(root, "probe", "*")); err != nil || len(left) > 0 {
			t.Errorf("step %d left behind: %q, %v", n, left, err)
		}
	}
}
