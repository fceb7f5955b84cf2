package s3_test

import (
	"testing"

	"github.com/pipe-build/pipe/internal/s3server"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/store/storetest"
)

func TestTheMarkerCostsOneRequestPerProcessThatWrites(t *testing.T) {
	p := newProxy(t, start(t, s3server.Options{}))
	for _, c := range []struct{ name, put string }{{"the first ever", "one PUT more"}, {"the next", ""}} {
		r := store.Marked(open(t, s3.Config{Endpoint: p.URL}), store.Past{})
		gets, puts := p.count("GET", ""), p.count("PUT", "")
		if _, _, err := r.Load(t.Context(), "projects/shop/env/default/state"); err == nil {
			t.Fatal("there is no state")
		}
		if n := p.count("GET", "") - gets; n != 1 {
			t.Errorf("%s: %d requests to read", c.name, n)
		}
		for range 3 {
			b := storetest.Noise(t, 10)
			if err := r.Put(t.Context(), storetest.File(b), store.Bytes(b)); err != nil {
				t.Fatal(err)
			}
		}
		wantPuts := 3
		if c.put != "" {
			wantPuts++
		}
		if g, w := p.count("GET", "")-gets, p.count("PUT", "")-puts; g != 2 || w != wantPuts {
			t.Errorf("%s: %d GET and %d PUT, want 2 and %d", c.name, g, w, wantPuts)
		}
	}
}
