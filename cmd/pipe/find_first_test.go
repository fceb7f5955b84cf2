//go:build !windows

package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// What this machine knows is on the screen before the remote has got a single request.
func TestFindPrintsWhatItKnowsBeforeItAsks(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, 1, 0)
	f.write("src", "1\n")
	f.pipe("repro", "--push")
	hash := strings.Fields(f.pipe("hash", "stamp"))[0]
	for _, args := range [][]string{{"find", hash}, {"find", hash, "-o", "got"}, {"find", "out"}} {
		var once sync.Once
		asked, told := make(chan bool, 1), make(chan bool)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() { asked <- true; <-told })
			f.proxy.ServeHTTP(w, r)
		}))
		p := &place{t, f.dir, slices.Concat(f.env, []string{"AWS_ENDPOINT_URL_S3=" + s.URL})}
		c, said := p.startLogged(args...)
		<-asked
		before := said()
		close(told)
		code := p.end(c)
		s.Close()
		if after := said(); code != 0 || !strings.Contains(before, "in the workspace's pipe.lock\n") || !strings.HasPrefix(after, before) || !strings.Contains(after, "  in the remote\n") {
			t.Errorf("%s: exit code %d\nbefore the first request: %s\nin the end: %s", args, code, before, after)
		}
	}
}
