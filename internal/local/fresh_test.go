//go:build !windows

package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// tree puts files, whose contents are their names, into the cache.
func (p *place) tree(names ...string) *object.Tree {
	p.t.Helper()
	t := &object.Tree{}
	for _, n := range names {
		e := object.Entry{Kind: object.File, Digest: digest.Of([]byte(n)), Size: int64(len(n))}
		must(p.t, p.cache.Put(p.t.Context(), object.Ref{Digest: e.Digest}, store.Bytes([]byte(n))))
		e.Path = p.project.Stages[0].Wdir.Child(n)
		t.Entries = append(t.Entries, e)
	}
	t.Sort()
	return t
}

func TestAFreshDirectoryHoldsTheInputsAlone(t *testing.T) {
	p := open(t, "  live: {cmd: 'find . | sort; pwd; echo $PIPE_ROOT; cat conf', wdir: sub}\n", "unasked", "sub/conf")
	j := p.job("live")
	j.Fresh, j.Inputs = true, p.tree("conf", "dir/x")
	made := p.runs(j)
	if len(p.printed) != 7 || strings.Join(p.printed[:4], " ") != ". ./conf ./dir ./dir/x" || p.printed[6] != "conf" {
		t.Fatalf("printed %q", p.printed)
	}
	if root := p.printed[5]; root == p.Work.Root() || !strings.HasPrefix(root, p.path(".pipe/deploy")) || filepath.Base(p.printed[4]) != "sub" {
		t.Errorf("it ran in %s, root %s", p.printed[4], root)
	}
	if len(made.Outs) > 0 || p.left() != "" {
		t.Errorf("made %v, left %s", made.Outs, p.left())
	}
}

func TestAFreshDirectoryGoesThoughTheCommandFails(t *testing.T) {
	p := open(t, "  live: {cmd: 'exit 3', wdir: nothing/there}\n", "tracked")
	j := p.job("live")
	j.Fresh, j.Inputs = true, p.tree()
	var exit *shell.ExitError
	if _, err := p.Run(t.Context(), j); !errors.As(err, &exit) || p.left() != "" {
		t.Errorf("%v; left %s", err, p.left())
	}
	j.Inputs = p.tree("lost")
	must(t, p.cache.Remove(t.Context(), object.Ref{Digest: digest.Of([]byte("lost"))}))
	if _, err := p.Run(t.Context(), j); !errors.Is(err, store.ErrNotFound) || p.left() != "" {
		t.Errorf("%v; left %s", err, p.left())
	}
}

func TestNothingRunsWithoutAFreshDirectory(t *testing.T) {
	p := open(t, "  live: {cmd: 'echo ran'}\n")
	j := p.job("live")
	j.Fresh, j.Inputs = true, p.tree("conf")
	p.write(".pipe/deploy", "in the way")
	if _, err := p.Run(t.Context(), j); !errors.Is(err, syscall.ENOTDIR) || len(p.printed) > 0 {
		t.Errorf("%v; printed %q", err, p.printed)
	}
}

func TestADeploymentInTheRepositoryNoticesChangedInputs(t *testing.T) {
	p := open(t, "  live: {cmd: 'cat conf; echo x >> conf', deps: [conf], workdir: repo}\n", "conf")
	made, err := p.Run(t.Context(), p.job("live"))
	if !diag.Is(err, diag.Stage) || made != nil || !strings.Contains(err.Error(), "conf changed while the command ran") {
		t.Errorf("%v", err)
	}
	p.project.Stage("live").Cmd = []string{"pwd"}
	p.printed = nil
	p.runs(p.job("live"))
	if root, err := filepath.EvalSymlinks(p.Work.Root()); err != nil || len(p.printed) != 1 || p.printed[0] != root {
		t.Errorf("it ran in %v, %v", p.printed, err)
	}
	if info, err := os.Stat(p.path("conf")); err != nil || info.IsDir() {
		t.Errorf("%v", err)
	}
}
