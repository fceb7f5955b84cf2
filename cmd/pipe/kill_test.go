//go:build !windows

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/digest"
)

// threeStages is a directory, a file that never comes out twice alike, and a
// deployment. Each command says when it begins, and when it is not alone.
const threeStages = `project: shop
remote: DIR/remote
stages:
  files:
    cmd: |
      echo files >> DIR/begun
      mkdir DIR/busy.files || echo files >> DIR/overlap
      mkdir out
      for i in $(seq 20); do echo $i > out/$i; done
      cat src > out/1
      sleep 0.02
      for i in $(seq 21 40); do echo $i > out/$i; done
      cat src > out/40
      rmdir DIR/busy.files
    deps: [src]
    outs: [out]
  stamp:
    cmd: |
      echo stamp >> DIR/begun
      mkdir DIR/busy.stamp || echo stamp >> DIR/overlap
      cat src > stamp
      sleep 0.02
      { date +%s%N; echo $$; } >> stamp
      rmdir DIR/busy.stamp
    deps: [src]
    outs: [stamp]
  ship:
    cmd: |
      echo ship >> DIR/begun
      trap 'rmdir DIR/busy.ship; exit 1' TERM
      mkdir DIR/busy.ship || echo ship >> DIR/overlap
      rm -rf DIR/live; mkdir DIR/live
      cp stamp DIR/live
      sleep 0.02
      cp -R out DIR/live
      rmdir DIR/busy.ship
    deps: [out, stamp]
    deploy: true
`

// Promise 8; LESSONS 2, 8, 12, 19, 22.
func TestKilledInTheMiddleOfAStageTheNextRunFinishes(t *testing.T) {
	t.Parallel()
	w := &works{place: newPlace(t, "PIPE_LEASE_TTL=2s"), beside: quickDir(t)}
	w.write("pipe.yaml", strings.ReplaceAll(threeStages, "DIR", w.beside))
	m := measured(t, func() { w.change(); w.pipe("repro") })
	for i := range kills() {
		why := fmt.Sprintf("repetition %d", i)
		old := w.locked(why)
		edit := content{}
		restores := i%5 == 4
		switch {
		case restores:
			w.source(w.version - 1)
		case i%5 == 2: // somebody's work lies in an out
			edit["1"] = digest.Of([]byte(why)).Hex()
			w.write("out/1", why)
			w.change()
		default:
			w.change()
		}
		m.kill(w.place, "repro")

		// Before the next run: whatever was recorded is still there, whole.
		w.pipe("verify")
		w.locked(why)
		w.wantCached(why, "the old bytes of out", old["out"])
		w.wantCached(why, "the old bytes of stamp", old["stamp"])

		w.pipe("repro")
		if restores {
			w.pipe("checkout") // outs that are not here are not restored
		}
		w.wantOuts(why)
		w.wantNoRest(why)
		w.wantCached(why, "the edit of an out", edit)
		w.wantLive(why)
		w.wantQuiet(why)
		if restores {
			w.change()
			w.pipe("repro")
		}
	}
	for _, store := range []string{w.path(".pipe", "cache"), filepath.Join(w.beside, "remote")} {
		if rest := lies(t, store); rest != nil {
			t.Error(rest)
		}
	}
	m.end(t, kills())
}

// works is a place where threeStages is built, again and again.
type works struct {
	*place
	beside  string // the directory that the commands use
	version int    // the newest one
}

// source makes the sources those of a version.
func (w *works) source(version int) {
	w.t.Helper()
	w.write("src", fmt.Sprintf("version %d\n", version))
}

// change makes the sources those of a version that never was.
func (w *works) change() {
	w.t.Helper()
	w.version++
	w.source(w.version)
}

// wantQuiet checks that no command ever ran twice at once, and that one more run does nothing.
func (w *works) wantQuiet(why string) {
	w.t.Helper()
	if b, err := os.ReadFile(filepath.Join(w.beside, "overlap")); err == nil {
		w.t.Fatalf("%s: two commands at once of %s", why, b)
	}
	begun := func() string {
		b, err := os.ReadFile(filepath.Join(w.beside, "begun"))
		must(w.t, err)
		return string(b)
	}
	before := begun()
	if out := w.pipe("repro"); !strings.Contains(out, "3 unchanged") {
		w.t.Fatalf("%s: one more run did something:\n%s", why, out)
	}
	if begun() != before {
		w.t.Fatalf("%s: one more run ran a command", why)
	}
}

// wantLive checks that the environment says ok, and that what is live is so.
func (w *works) wantLive(why string) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.beside, "remote", "projects", "shop", "env", "default", "state"))
	must(w.t, err)
	var state struct {
		Stages map[string]struct{ Status string }
	}
	must(w.t, json.Unmarshal(b, &state))
	if got := state.Stages["ship"].Status; got != "ok" {
		w.t.Fatalf("%s: the environment says %q", why, got)
	}
	for at, want := range w.locked(why) {
		if got := contentOf(w.t, filepath.Join(w.beside, "live", at)); !maps.Equal(got, want) {
			w.t.Fatalf("%s: what is live of %s is not what was built", why, at)
		}
	}
}
