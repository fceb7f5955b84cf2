package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/image"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

const (
	digest1 = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	digest2 = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	named   = "stages:\n  a: {cmd: make, deps: [{image: 'alpine:3.20'}, {url: 'https://h/x'}], outs: [a.out]}\n  b: {cmd: make, deps: [a.out], outs: [b.out]}\n"
	pinned  = "stages:\n  a: {cmd: make, deps: [{image: 'alpine:3.20@" + digest1 + "'}], outs: [a.out]}\n"
)

// upstream answers what it has, and counts questions.
type upstream struct {
	mu    sync.Mutex
	has   map[string]string
	err   error
	asked []string
}

func (u *upstream) Image(_ context.Context, n image.Name) (string, error) {
	return u.answer(n.Host + "/" + n.Path + ":" + n.Tag)
}
func (u *upstream) URL(_ context.Context, url string) (string, error) { return u.answer(url) }

func (u *upstream) answer(name string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, name)
	return u.has[name], u.err
}

// with gives the project somebody to ask, who knows an image and a URL.
func (p *project) with() *upstream {
	u := &upstream{has: map[string]string{"docker.io/library/alpine:3.20": digest1, "https://h/x": `etag:"1"`}}
	p.engine.Upstream = u
	return u
}

func TestAStageRunsWhenANameStandsForSomethingElse(t *testing.T) {
	p := open(t, named)
	u := p.with()
	p.repro("a:run b:run", all)
	p.repro("a:skip b:skip", all)
	want := artifact.Asked{Images: []artifact.Named{{Name: "alpine:3.20", Answer: digest1}}, URLs: []artifact.Named{{Name: "https://h/x", Answer: `etag:"1"`}}}
	if got := p.locked("a").Asked; !slices.Equal(got.Images, want.Images) || !slices.Equal(got.URLs, want.URLs) {
		t.Errorf("%+v", got)
	}
	u.has["docker.io/library/alpine:3.20"] = digest2
	p.repro("a:run b:skip", all)
	if got := p.outcome("a").Verdict.Because[0].String(); got != "image alpine:3.20 changed (sha256:111111111111 -> sha256:222222222222)" {
		t.Error(got)
	}
	u.has["https://h/x"] = `etag:"2"`
	p.repro("a:run b:skip", all)
	if got := p.reasons("a"); got != "url-changed" {
		t.Error(got)
	}
	u.has["docker.io/library/alpine:3.20"], u.has["https://h/x"] = digest1, `etag:"1"`
	p.repro("a:restore b:skip", all)
}

func TestADeployStageRunsWhenANameStandsForSomethingElse(t *testing.T) {
	p := open(t, "stages:\n  d: {cmd: kubectl apply, deploy: true, deps: [{image: 'alpine:3.20'}]}\n")
	u := p.with()
	p.repro("d:run", all)
	p.repro("d:skip", all)
	u.has["docker.io/library/alpine:3.20"] = digest2
	p.repro("d:run", all)
	if got := p.reasons("d"); got != "live-is-other image-changed" {
		t.Error(got)
	}
	p.engine.Upstream = nil // who only looks takes what was deployed
	p.repro("d:skip", engine.Options{Dry: true})
}

func TestWhoOnlyLooksAsksNobody(t *testing.T) {
	p := open(t, named)
	p.repro("a:depends b:depends", engine.Options{Dry: true})
	if why := p.outcome("a").Verdict.Because; why[0].Code != event.NeedsAsking || why[0].String() != "alpine:3.20 is not known yet (pipe repro asks for it)" {
		t.Errorf("%+v", why)
	}
	p.with()
	p.repro("a:run b:run", all)
	p.engine.Upstream = nil
	p.repro("a:skip b:skip", engine.Options{Dry: true})
	if got := p.outcome("a").Assumed; !slices.Equal(got, []string{"alpine:3.20", "https://h/x"}) || !strings.Contains(p.told(event.Note), "did not ask for alpine:3.20: it counts as unchanged") {
		t.Errorf("%q, %q", got, p.told(event.Note))
	}
}

func TestAnImageWithADigestIsAskedOfNobody(t *testing.T) {
	p := open(t, pinned)
	p.repro("a:run", engine.Options{Dry: true})
	u := p.with()
	p.repro("a:run", all)
	if got := p.locked("a").Images; len(u.asked) > 0 || len(got) != 1 || got[0].Answer != digest1 {
		t.Errorf("asked %q: %+v", u.asked, got)
	}
}

func TestANameIsAskedForOnceInARun(t *testing.T) {
	const stage = "{cmd: make, deps: [{image: 'alpine:3.20'}, {url: 'https://h/x'}], outs: ["
	p := open(t, "stages:\n  a: "+stage+"a]}\n  b: "+stage+"b]}\n  c: "+stage+"c]}\n  d: {cmd: make, deps: [{url: 'https://h/y'}], outs: [d]}\n")
	u := p.with()
	u.has["https://h/y"] = `etag:"y"`
	for range 2 {
		u.asked = nil
		if _, _, err := p.run(engine.Options{Jobs: 4}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(u.asked)
		if got := strings.Join(u.asked, " "); got != "docker.io/library/alpine:3.20 https://h/x https://h/y" {
			t.Errorf("asked %s", got)
		}
	}
}

func TestANameThatNobodyAnswersForIsAnError(t *testing.T) {
	for err, want := range map[error]diag.Kind{
		diag.New(diag.NotFound, "docker.io has no such image").Hinted("do this"): diag.NotFound,
		diag.New(diag.Auth, "docker.io has no such image").Hinted("do this"):     diag.Auth,
		errors.New("docker.io has no such image"):                                diag.Network,
	} {
		p := open(t, named)
		u := p.with()
		p.repro("a:run b:run", all)
		u.err = err // also where the lock has an answer
		_, counts, got := p.run(all)
		if !diag.Is(got, want) || got.Error() != "pipe.yaml:2:33: a: dependency {image: alpine:3.20}: docker.io has no such image" || counts.Failed != 1 || counts.Not != 1 || p.jobs() != "" {
			t.Errorf("%v, %+v, %s", got, counts, p.jobs())
		}
		if hint := diag.All(got)[0].Hint; want != diag.Network && hint != "do this" {
			t.Errorf("hint %q", hint)
		}
	}
	p := open(t, named)
	p.with().err = action.ErrNotAsked
	if _, _, err := p.run(all); err == nil {
		t.Error("a stage of which nothing is known ran")
	}
}
