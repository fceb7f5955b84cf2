package diag_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestExitCodesAreThoseOfTheManual(t *testing.T) {
	var got strings.Builder
	for k := diag.Failed; k <= diag.Terminated; k++ {
		fmt.Fprintf(&got, "%3d %s\n", k.Exit(), k)
	}
	path := filepath.Join("testdata", "exit-codes.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("scripts rely on these; got:\n%s", got.String())
	}
	if diag.ExitCode(nil) != 0 || diag.ExitCode(errors.New("plain")) != 1 {
		t.Error("nil is 0, a plain error 1")
	}
}

func TestAnErrorIsPlaceAndWhatAndKeepsItsCause(t *testing.T) {
	e := diag.New(diag.NotFound, "dep %s: %w", "a", fs.ErrNotExist).At("pipe.yaml:3:5").Hinted("touch %s", "a")
	if e.Error() != "pipe.yaml:3:5: dep a: file does not exist" || e.Hint != "touch a" || !errors.Is(e, fs.ErrNotExist) {
		t.Errorf("%+v", e)
	}
	if got := diag.New(diag.Failed, "no place").Error(); got != "no place" {
		t.Errorf("%q", got)
	}
}

func TestKindsAreFoundThroughWrappers(t *testing.T) {
	e := diag.New(diag.Busy, "locked")
	for name, err := range map[string]error{
		"itself": e, "wrapped": fmt.Errorf("deploy: %w", e), "joined": errors.Join(errors.New("x"), e), "listed": diag.List{e, diag.New(diag.Auth, "y")},
	} {
		if !diag.Is(err, diag.Busy) || diag.ExitCode(err) != 6 || !errors.Is(err, &diag.Error{Kind: diag.Busy}) {
			t.Errorf("%s: kind %s", name, diag.KindOf(err))
		}
		if diag.Is(err, diag.Auth) {
			t.Errorf("%s is of two kinds", name)
		}
	}
	if diag.Is(nil, diag.Failed) {
		t.Error("nil has a kind")
	}
	if errors.Is(e, diag.New(diag.Busy, "another")) {
		t.Error("two errors of a kind are not one")
	}
}

func TestAListIsAnErrorOnlyWhenItHoldsOne(t *testing.T) {
	if err := (diag.List{}).OrNil(); err != nil {
		t.Errorf("%v", err)
	}
	l := diag.List{diag.New(diag.Usage, "a"), diag.New(diag.Usage, "b").At("f:1:2")}
	if got := l.OrNil().Error(); got != "a\nf:1:2: b" {
		t.Errorf("%q", got)
	}
}

func TestAllTakesAnErrorApart(t *testing.T) {
	a, b := diag.New(diag.Usage, "a").At("f:1:1"), diag.New(diag.Auth, "b").Hinted("log in")
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"nothing": {nil, nil},
		"one":     {a, []string{"usage f:1:1: a"}},
		"list":    {diag.List{a, b}, []string{"usage f:1:1: a", "auth b (log in)"}},
		"joined":  {errors.Join(errors.Join(a, b), errors.New("c")), []string{"usage f:1:1: a", "auth b (log in)", "failed c"}},
		"wrapped": {fmt.Errorf("push: %w", b), []string{"auth push: b (log in)"}},
		"plain":   {errors.New("c"), []string{"failed c"}},
	} {
		var got []string
		for _, e := range diag.All(c.err) {
			s := e.Kind.String() + " " + e.Error()
			if e.Hint != "" {
				s += " (" + e.Hint + ")"
			}
			got = append(got, s)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
