package disk

import (
	"crypto/rand"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

// A share without locks grants each open file its own.
func TestProbeRefusesLocksThatExcludeNobody(t *testing.T) {
	s, path := Open(t.TempDir()), filepath.Join(t.TempDir(), "lock")
	if err := s.excludes(path, atomicfile.TryAcquire); err != nil {
		t.Errorf("locks that work: %v", err)
	}
	deaf := func(path string, m atomicfile.Mode) (*atomicfile.Lock, error) {
		return atomicfile.TryAcquire(path+rand.Text(), m)
	}
	if err := s.excludes(path, deaf); !diag.Is(err, diag.Policy) {
		t.Errorf("locks that exclude nobody: %v", err)
	}
	if l, err := atomicfile.TryAcquire(path, atomicfile.Exclusive); err != nil || l == nil {
		t.Errorf("the probe kept its lock: %v", err)
	} else if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestProbeTriesTheLocksAndLeavesNothing(t *testing.T) {
	root := t.TempDir()
	if err := Open(root).Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(root, "probe", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
