package spec

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

func TestSourcesLimitsAndTheRemoteOfStatesAreRead(t *testing.T) {
	p := parseGood(t, `sources:
  src/z/: {git: git@host:team/z.git}
  ./src/a: {git: /srv/git/a.git, ref: 1.0}
limits: {db: "1", cloud: 20}
state_remote: nas
remote: {main: s3://b, nas: /mnt}
stages:
  a: {cmd: x, mutex: db, deploy: true, outs: []}
  b: {cmd: x, mutex: cloud}
  c: {cmd: x, mutex: cloud, outs: [o]}
`)
	if want := []Source{{Path: "src/a", Git: "/srv/git/a.git", Ref: "1.0", Place: "pipe.yaml:3:3"}, {Path: "src/z", Git: "git@host:team/z.git", Place: "pipe.yaml:2:3"}}; !reflect.DeepEqual(p.Sources, want) {
		t.Errorf("got %+v", p.Sources)
	}
	if want := []Limit{{"cloud", 20, "pipe.yaml:4:19"}, {"db", 1, "pipe.yaml:4:10"}}; !reflect.DeepEqual(p.Limits, want) {
		t.Errorf("got %+v", p.Limits)
	}
	if p.StateRemote != "nas" {
		t.Errorf("got %q", p.StateRemote)
	}
	if p := parseGood(t, "sources: # none yet\nlimits:\nstages: {}\n"); p.Sources != nil || p.Limits != nil {
		t.Errorf("got %+v", p)
	}
}

func TestGitMayBeAnyPlaceThatRunsNoProgram(t *testing.T) {
	for _, git := range []string{
		"https://github.com/acme/api", "http://localhost:8080/x.git", "ssh://git@host:22/x", "git+ssh://host/x", "git://host/x", "file:///srv/x", "git@github.com:acme/api.git", "host:x",
		"../api", "/srv/api", ".", "a b/c'd", `C:\repos\api`, "C:/repos/api", "[::1]:x", "./a::b", "https://host/a::b", "https://host/a%20b", "dir@v1", "user@host:a@b:c",
	} {
		if why, _ := badGit(git); why != "" {
			t.Errorf("%q: %s", git, why)
		}
	}
}

func TestARefIsWhatGitTakesForOne(t *testing.T) {
	for ref, want := range map[string]bool{
		"main": true, "release/1.x": true, "v1.2": true, "refs/heads/main": true, "4be1f02": true, "a@b": true, "ä": true, "hotfix/important_patch": true, "a-b": true,
		"": false, "-a": false, "+a": false, "a:b": false, "a^": false, "a~": false, "a?": false, "a*": false, "a[b": false, `a\b`: false, "a b": false, "a\tb": false, "a..b": false, "a.": false, "a/": false,
		"/a": false, "a//b": false, ".a": false, "a/.b": false, "a.lock": false, "a.lock/b": false, "@": false, "a@{1}": false,
	} {
		if IsRef(ref) != want {
			t.Errorf("%q: %v", ref, !want)
		}
	}
}

func TestASourceIsFoundByPathDirectoryAndRepository(t *testing.T) {
	p := parseGood(t, `sources:
  src/api: {git: "https://host/acme/project-api.git/"}
  src/api-v2: {git: "git@host:project-two"}
  src/console: {git: ../web/.git}
  old/console: {git: 'C:\repos\old-web.git'}
  one: {git: "https://host/acme/shared"}
  two: {git: "https://host/acme/shared", ref: next}
  up: {git: ../..}
  clash: {git: ../one}
stages: {}
`)
	for name, want := range map[string]string{
		"src/api": "src/api", "api": "src/api", "project-api": "src/api", "./src/api/": "src/api", "api-v2": "src/api-v2", "project-two": "src/api-v2", "web": "src/console", "old-web": "old/console", "up": "up",
		"one":     "one", // a path goes before a repository
		"console": `"console" names several sources; write one of these paths: old/console, src/console`,
		"shared":  `"shared" names several sources; write one of these paths: one, two`,
		"api-v3":  `no source named "api-v3"; did you mean api-v2?`,
		"zzzzzzz": `no source named "zzzzzzz"; sources: clash, old/console, one, src/api, src/api-v2, src/console, two, up`,
		"..":      `no source named ".."; sources: clash, old/console, one, src/api, src/api-v2, src/console, two, up`,
		"":        `no source named ""; sources: clash, old/console, one, src/api, src/api-v2, src/console, two, up`,
		"PROJECT": `no source named "PROJECT"; sources: clash, old/console, one, src/api, src/api-v2, src/console, two, up`,
	} {
		s, err := p.Source(name)
		got := ""
		if err == nil {
			got = string(s.Path)
		} else {
			got = strings.TrimPrefix(err.Error(), "pipe.yaml: ") + "; " + hintOf(err)
		}
		if got != want || err != nil && !diag.Is(err, diag.Usage) {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
	if _, err := parseGood(t, "stages: {}\n").Source("api"); !diag.Is(err, diag.Usage) || !strings.Contains(err.Error(), "no sources") {
		t.Error(err)
	}
}
