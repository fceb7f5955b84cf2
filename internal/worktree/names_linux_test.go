package worktree

// File systems of other systems do not take these names.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestNamesThatCannotStandInATreeAreNamed(t *testing.T) {
	for _, name := range []string{"bad\xffutf8", "git~1", `..\up`} {
		w, cache := workspace(t)
		must(t, os.Mkdir(w.OS("d"), 0o777))
		must(t, os.WriteFile(filepath.Join(w.OS("d"), name), nil, 0o666))
		var e *diag.Error
		if _, err := w.Save(t.Context(), cache, "d"); !errors.As(err, &e) || e.Place != "d" || !strings.Contains(e.What, fmt.Sprintf("%q", name)) || e.Hint == "" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOddNamesSurviveTheCache(t *testing.T) {
	w, cache := workspace(t)
	var want []string
	for _, name := range []string{"\x1b[2J", `"quoted"`, "README", `back\slash`, "new\nline", "readme", "tab\there"} {
		w.write(t, "out/"+repopath.Path(name), name)
		want = append(want, "f "+name)
	}
	saved, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	must(t, os.RemoveAll(w.OS("out")))
	tree, err := store.ReadTree(t.Context(), cache, saved.Digest)
	must(t, err)
	must(t, w.Checkout(t.Context(), cache, saved, tree, nil))
	o, again, err := w.Output(t.Context(), "out")
	must(t, err)
	if o != saved || !reflect.DeepEqual(names(again), want) {
		t.Errorf("%+v, %q", o, names(again))
	}
}

func TestNothingStaysOpen(t *testing.T) {
	w, cache := workspace(t)
	fill(t, w, "out")
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(fds)
	}
	before := open()
	saved, err := w.Save(t.Context(), cache, "out")
	must(t, err)
	tree, err := store.ReadTree(t.Context(), cache, saved.Digest)
	must(t, err)
	must(t, w.Checkout(t.Context(), cache, saved, tree, nil))
	_, _, err = w.Output(t.Context(), "out")
	must(t, err)
	if n := open(); n > before {
		t.Errorf("%d files more are open", n-before)
	}
}
