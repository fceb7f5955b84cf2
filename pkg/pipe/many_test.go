package pipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

// several opens projects whose pipe.yaml has one check each.
func several(t *testing.T, dirs ...string) *Projects {
	t.Helper()
	top := t.TempDir()
	for _, d := range dirs {
		write(t, top, d+"/pipe.yaml", "stages:\n  a: {check: true, cmd: 'true'}\n")
	}
	ps, err := OpenAll(t.Context(), Options{Dir: top})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ps.Close(); err != nil {
			t.Error(err)
		}
	})
	return ps
}

func write(t *testing.T, top, name, text string) {
	t.Helper()
	at := filepath.Join(top, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestAFailureStopsWhatDependsOnIt(t *testing.T) {
	broken := errors.New("broken")
	work := diag.New(diag.Pending, "work to do")
	for _, c := range []struct {
		name          string
		goOn          bool
		fails         map[string]error
		did, not, why string
		kind          diag.Kind
	}{
		{"nothing fails", false, nil, "a b c d", "", "", diag.Failed},
		{"it stops", false, map[string]error{"b": broken}, "a b", "c:b d:", "b: broken", diag.Failed},
		{"it goes on beside it", true, map[string]error{"a": broken}, "a d", "b:a c:a", "a: broken", diag.Failed},
		{"work to do is no failure", false, map[string]error{"a": work, "c": work}, "a b c d", "", "a: work to do|c: work to do", diag.Pending},
		{"a failure goes before work to do", true, map[string]error{"a": work, "d": broken}, "a b c d", "", "d: broken|a: work to do", diag.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			ps := several(t, "a", "b", "c", "d")
			ps.graph.Edge(1, 0)
			ps.graph.Edge(2, 1)
			var did, not, why []string
			err := ps.Each(t.Context(), c.goOn, func(p *Project) error {
				did = append(did, p.Dir())
				return c.fails[p.Dir()]
			}, func(p *Project, failed string) { not = append(not, p.Dir()+":"+failed) })
			for _, e := range diag.All(err) {
				why = append(why, e.Error())
			}
			if strings.Join(did, " ") != c.did || strings.Join(not, " ") != c.not || strings.Join(why, "|") != c.why || diag.KindOf(err) != c.kind {
				t.Errorf("did %q, not %q, %q of kind %s", did, not, why, diag.KindOf(err))
			}
		})
	}
}

func TestAnInterruptBeginsNoOtherProject(t *testing.T) {
	ps := several(t, "a", "b", "c")
	for _, seen := range []bool{true, false} { // by the project that ran, or only after it
		ctx, cancel := context.WithCancel(t.Context())
		var did []string
		err := ps.Each(ctx, true, func(p *Project) error {
			did = append(did, p.Dir())
			if cancel(); seen {
				return context.Cause(ctx)
			}
			return nil
		}, nil)
		if !slices.Equal(did, []string{"a"}) || !errors.Is(err, context.Canceled) || len(diag.All(err)) != 1 {
			t.Errorf("%q, %v", did, err)
		}
	}
}

func TestProjectsAreOrderedByPath(t *testing.T) {
	var names []string
	for _, p := range several(t, "b", "a/z", ".", "a", "a-b").all {
		names = append(names, p.Dir())
	}
	if want := []string{".", "a", "a-b", "a/z", "b"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestADirectoryThatHoldsAProjectIsReadAfterIt(t *testing.T) {
	top := t.TempDir()
	write(t, top, "pipe.yaml", "stages:\n  a: {check: true, cmd: 'true', deps: [m]}\n")
	write(t, top, "m/pipe.yaml", "stages:\n  a: {check: true, cmd: 'true', deps: [z/out]}\n")
	write(t, top, "m/z/pipe.yaml", "stages:\n  a: {cmd: 'true', outs: [out]}\n")
	write(t, top, "m-2/pipe.yaml", "stages:\n  a: {cmd: 'true', outs: [out]}\n")
	ps, err := OpenAll(t.Context(), Options{Dir: top})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ps.Close() }()
	var names []string
	for i, p := range ps.all {
		up := 0
		for _, u := range ps.graph.Up(i) {
			if up++; u >= i {
				t.Errorf("%s comes before what it needs", p.Dir())
			}
		}
		names = append(names, fmt.Sprint(p.Dir(), up))
	}
	if want := []string{"m/z0", "m1", ".2", "m-20"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
