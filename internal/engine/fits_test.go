package engine_test

import (
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestOutsFitAStageOnlyAtItsPaths(t *testing.T) {
	s := &spec.Stage{Outs: []spec.Out{{Path: "a"}, {Path: "b"}}}
	for paths, want := range map[string]bool{"a b": true, "a": false, "a c": false, "a b c": false, "b a": false} {
		var outs []artifact.Output
		for _, p := range strings.Fields(paths) {
			outs = append(outs, artifact.Output{Path: repopath.Path(p)})
		}
		if engine.Fits(s, outs) != want {
			t.Errorf("%s: fits is %v", paths, !want)
		}
	}
}

func TestOutsFitAStageOnlyAsItDeclaresThem(t *testing.T) {
	sum := strings.Repeat("0f", 32)
	for name, c := range map[string]struct {
		spec spec.Out
		out  artifact.Output
		want bool
	}{
		"asked and there":        {spec.Out{Path: "a", SHA256: true}, artifact.Output{Path: "a", SHA256: sum}, true},
		"asked, not there":       {spec.Out{Path: "a", SHA256: true}, artifact.Output{Path: "a"}, false},
		"there, not asked":       {spec.Out{Path: "a"}, artifact.Output{Path: "a", SHA256: sum}, false},
		"a directory":            {spec.Out{Path: "a", Dir: true}, artifact.Output{Path: "a", Dir: true}, true},
		"a file for a directory": {spec.Out{Path: "a", Dir: true}, artifact.Output{Path: "a"}, false},
		"a directory, no slash":  {spec.Out{Path: "a"}, artifact.Output{Path: "a", Dir: true}, true},
	} {
		if got := engine.Fits(&spec.Stage{Outs: []spec.Out{c.spec}}, []artifact.Output{c.out}); got != c.want {
			t.Errorf("%s: fits is %v", name, got)
		}
	}
}

// What sha256: says is not in the key, so records made with and without it share one.
func TestAStageThatAsksForSHA256LaterRunsUnderAGenerationOfItsOwn(t *testing.T) {
	asks := strings.Replace(one, "[out/a]", "[{path: out/a, sha256: true}]", 1)
	p := open(t, one, "src")
	p.runner.bytes = numbered("build")
	p.repro("a:run", engine.Options{Push: true})
	first := p.id("a")
	for n, yaml := range []string{asks, one} {
		p.declare(yaml)
		p.repro("a:run", engine.Options{Push: true})
		if id := p.id("a"); id.Key != first.Key || id.Generation != n+1 || (p.out("a").SHA256 != "") != (yaml == asks) {
			t.Errorf("%s, sha256 %q", id, p.out("a").SHA256)
		}
		if why := p.reasons("a"); why != event.DefChanged {
			t.Errorf("it ran because %s", why)
		}
		p.repro("a:skip", engine.Options{Push: true})
	}
}

// The same where no lock says that it was built: the record does.
func TestARecordWithoutTheSHA256IsNamedAsTheReason(t *testing.T) {
	p := open(t, one, "src")
	p.repro("a:run", engine.Options{})
	p.lock = &lockfile.File{}
	p.declare(strings.Replace(one, "[out/a]", "[{path: out/a, sha256: true}]", 1))
	p.repro("a:run", engine.Options{})
	if why := p.reasons("a"); why != event.DefChanged {
		t.Errorf("it ran because %s", why)
	}
}

func TestARecordWithAnotherSHA256StopsADeployment(t *testing.T) {
	p := open(t, strings.Replace(deployed, "[out/b]", "[{path: out/b, sha256: true}]", 1), "src", "conf/1")
	p.repro("a:run b:run", engine.Options{Targets: []string{"b"}, Push: true})
	if p.out("b").SHA256 == "" {
		t.Fatal("out/b has no sha256")
	}
	p.locked("b").Outs[0].SHA256 = strings.Repeat("0f", 32)
	_, _, err := p.run(all)
	if !diag.Is(err, diag.Integrity) || !strings.Contains(err.Error(), "0f0f") || p.jobs() != "" {
		t.Errorf("jobs %s: %v", p.jobs(), err)
	}
}
