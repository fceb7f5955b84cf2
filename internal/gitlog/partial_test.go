package gitlog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
)

// partial clones the sandbox without its blobs, or with another filter. The git of the clone
// traces into the file that is returned.
func (s *sandbox) partial(filter string) (clone *sandbox, trace string) {
	s.tb.Helper()
	s.git("config", "uploadpack.allowFilter", "true")
	s.git("clone", "-q", "--filter="+filter, "--no-checkout", "file://"+s.dir, "../partial-"+filter[:4])
	clone = s.at(filepath.Join(s.tmp, "partial-"+filter[:4]))
	trace = filepath.Join(s.tmp, "trace-"+filter[:4])
	return clone.with("GIT_TRACE=" + trace), trace
}

// keptBack returns the versions that a clone lacks.
func keptBack(t *testing.T, r *gitlog.Repo) (blobs []string, n int, whole bool) {
	t.Helper()
	whole, err := r.Versions(t.Context(), "pipe.lock", func(v *gitlog.Version) error {
		n++
		_, err := v.Data()
		if errors.Is(err, gitlog.ErrKeptBack) {
			if !diag.Is(err, diag.NotFound) {
				t.Error("whoever does not fetch must be told what to do:", err)
			}
			blobs = append(blobs, v.Blob)
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return blobs, n, whole
}

func TestAllThatAPartialCloneKeptBackComesInOneRequest(t *testing.T) {
	s := branchy(t, "pipe.lock")
	p, trace := s.partial("blob:none")
	r := p.open(p.dir)
	before := p.git("for-each-ref")
	blobs, n, whole := keptBack(t, r)
	if len(blobs) != n || n < 4 || !whole || !r.Shallow() {
		t.Fatalf("%d of %d versions are kept back; whole %v", len(blobs), n, whole)
	}
	if b, err := os.ReadFile(trace); err == nil && strings.Contains(string(b), "upload-pack") {
		t.Errorf("a walk has asked the server:\n%s", b)
	}
	if err := os.Remove(trace); err != nil {
		t.Fatal(err)
	}
	if err := r.Fetch(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(trace); err != nil || strings.Count(string(b), "built-in: git upload-pack") != 1 {
		t.Errorf("not one request: %v\n%s", err, b)
	}
	if blobs, _, whole := keptBack(t, r); len(blobs) > 0 || !whole {
		t.Errorf("%d are still not here", len(blobs))
	}
	if after := p.git("for-each-ref"); after != before {
		t.Errorf("references have moved:\n%s\n%s", before, after)
	}
	if _, err := os.Stat(filepath.Join(p.dir, ".git", "FETCH_HEAD")); err == nil {
		t.Error("FETCH_HEAD was written")
	}
}

func TestWhatCannotBeFetchedIsSaid(t *testing.T) {
	s := branchy(t, "pipe.lock")
	p, _ := s.partial("blob:none")
	r := p.open(p.dir)
	blobs, _, _ := keptBack(t, r)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(s.dir, s.dir+"-gone"))
	var d *diag.Error
	if err := r.Fetch(t.Context(), blobs); !errors.As(err, &d) || d.Kind != diag.Network || d.Place != "git remote origin" || strings.Contains(d.What, "exit status") {
		t.Errorf("%v", err)
	}
	// Another remote that promises them is asked next.
	p.git("remote", "add", "spare", "file://"+s.dir+"-gone")
	p.git("config", "remote.spare.promisor", "true")
	if err := r.Fetch(t.Context(), blobs); err != nil {
		t.Error(err)
	}
	p.git("config", "--unset", "remote.spare.promisor")
	p.git("config", "--unset", "remote.origin.promisor")
	if err := r.Fetch(t.Context(), blobs); !diag.Is(err, diag.Network) {
		t.Errorf("nobody has promised them: %v", err)
	}
}

func TestACloneWithoutTreesIsNotWhole(t *testing.T) {
	s := branchy(t, "pipe.lock")
	p, _ := s.partial("tree:0")
	if _, _, whole := keptBack(t, p.open(p.dir)); whole {
		t.Error("it takes what it cannot see for nothing")
	}
}
