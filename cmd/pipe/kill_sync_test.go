//go:build !windows

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
)

// many is one stage whose out has 300 small files and one of 3 MiB.
const many = `stages:
  many:
    cmd: |
      mkdir out
      { cat src; head -c 3145728 /dev/zero; } > out/big
      i=0
      while test $i -lt 300; do echo "$i of $(cat src)" > out/$i; i=$((i+1)); done
    deps: [src]
    outs: [out]
`

// remotes are where pushes and pulls are killed, and how often.
func remotes(t *testing.T, f func(t *testing.T, r remote, reps int)) {
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		dir := quickDir(t)
		f(t, remote{url: dir, dir: dir}, kills()-kills()*3/10)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		s := s3server.Start(t, s3server.Options{})
		f(t, remote{url: "s3://" + s.Bucket, dir: filepath.Join(s.Dir, s.Bucket), env: s.Env()}, kills()*3/10)
	})
}

type remote struct {
	url, dir string // dir is where its objects lie as files
	env      []string
}

// below returns a remote of its own inside r.
func (r remote) below(name string) remote {
	return remote{r.url + "/" + name, filepath.Join(r.dir, name), append(slices.Clip(r.env), "PIPE_REMOTE="+r.url+"/"+name)}
}

// built returns a place where many was built.
func built(t *testing.T, env []string) *place {
	p := newPlace(t, env...)
	p.write("pipe.yaml", many)
	p.write("src", "one")
	p.pipe("repro")
	return p
}

// Promises 7 and 8: names last.
func TestKilledInTheMiddleOfAPushTheNextPushFinishes(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, r remote, reps int) {
		p := built(t, r.env)
		want := contentOf(t, p.path("out"))
		n := 0
		fresh := func() remote {
			n++
			to := r.below(strconv.Itoa(n))
			p.env = to.env
			return to
		}
		m := measured(t, func() { fresh(); p.pipe("push") })
		for i := range reps {
			why := fmt.Sprintf("repetition %d", i)
			to := fresh()
			m.kill(p, "push")
			if found := lies(t, to.dir); found != nil {
				t.Fatalf("%s: after the kill: %s", why, found)
			}
			p.pipe("push")
			if found := lies(t, to.dir); found != nil {
				t.Fatalf("%s: after the next push: %s", why, found)
			}
			clone := newPlace(t, to.env...)
			for _, name := range []string{"pipe.yaml", "pipe.lock", "src"} {
				clone.write(name, p.read(name))
			}
			clone.pipe("pull")
			if got := contentOf(t, clone.path("out")); !maps.Equal(got, want) {
				t.Fatalf("%s: a clone pulled %d files, not the %d that were pushed", why, len(got), len(want))
			}
			must(t, errors.Join(os.RemoveAll(clone.dir), os.RemoveAll(to.dir))) // now: there are many
		}
		m.end(t, reps)
	})
}

func TestKilledInTheMiddleOfAPullTheNextPullFinishes(t *testing.T) {
	t.Parallel()
	remotes(t, func(t *testing.T, r remote, reps int) {
		r = r.below("shop")
		p := built(t, r.env)
		var locks []string
		var wants []content
		for i := range 2 {
			p.write("src", fmt.Sprintf("version %d", i))
			p.pipe("repro", "--push")
			locks = append(locks, p.read("pipe.lock"))
			wants = append(wants, contentOf(t, p.path("out")))
		}
		now := 1 // the version in the workspace
		forget := func() {
			now = 1 - now
			p.write("pipe.lock", locks[now])
			must(t, os.RemoveAll(p.path(".pipe", "cache")))
		}
		m := measured(t, func() { forget(); p.pipe("pull") })
		for i := range reps {
			why := fmt.Sprintf("repetition %d", i)
			forget()
			old, want := wants[1-now], wants[now]
			if i%5 == 4 {
				old = nil
				must(t, os.RemoveAll(p.path("out")))
			}
			m.kill(p, "pull")
			switch got := contentOf(t, p.path("out")); {
			case maps.Equal(got, want), maps.Equal(got, old):
			case got == nil: // between two renames: the old bytes, which nothing but the workspace had, are in the cache
				p.wantCached(why, "the out between two renames", old)
			default:
				t.Fatalf("%s: after the kill the out has %d files, neither the old nor the new ones", why, len(got))
			}
			if found := lies(t, p.path(".pipe", "cache")); found != nil {
				t.Fatalf("%s: after the kill: %s", why, found)
			}
			p.pipe("pull")
			p.wantOuts(why)
			p.wantNoRest(why)
			if got := contentOf(t, p.path("out")); !maps.Equal(got, want) {
				t.Fatalf("%s: pulled %d files, not the %d that were pushed", why, len(got), len(want))
			}
			p.pipe("verify")
		}
		m.end(t, reps)
	})
}
