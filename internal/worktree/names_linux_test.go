package worktree

// File systems of other systems do not take these names.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
)

func TestNamesThatCannotStandInATreeAreNamed(t *testing.T) {
	for _, name := range []string{"new\nline", `back\slash`, "bad\xffutf8", "git~1", "tab\there"} {
		w, cache := workspace(t)
		must(t, os.Mkdir(w.OS("d"), 0o777))
		if err := os.WriteFile(filepath.Join(w.OS("d"), name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		var e *diag.Error
		if err := w.depErr(t, spec.Dep{Path: "d"}); !errors.As(err, &e) || e.Place != "d" || !strings.Contains(e.What, fmt.Sprintf("%q", name)) || e.Hint == "" {
			t.Errorf("dep with %q: %v", name, err)
		}
		if _, err := w.Save(t.Context(), cache, "d"); !errors.As(err, &e) || e.Place != "d" {
			t.Errorf("out with %q: %v", name, err)
		}
		// What the hint says works.
		if in := w.dep(t, "d", "d/*"); in.Files != 0 {
			t.Errorf("%q: %+v", name, in)
		}
		w.write(t, "d/.gitignore", "*\n")
		if in := w.dep(t, "d"); in.Files != 0 {
			t.Errorf("%q ignored: %+v", name, in)
		}
	}
}

func TestNamesThatFoldTogetherCannotBeAnOut(t *testing.T) {
	w, cache := workspace(t)
	w.write(t, "out/README", "1")
	w.write(t, "out/readme", "2")
	if _, err := w.Save(t.Context(), cache, "out"); err == nil || !errors.Is(err, object.ErrMalformed) {
		t.Errorf("%v", err)
	}
}
