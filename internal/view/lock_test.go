package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

func of(text string) digest.Digest { return digest.Of([]byte(text)) }

// fullStage has every field of a stage.
func fullStage() lockfile.Stage {
	return lockfile.Stage{
		Name: "build", Key: digest.Key(of("key")), Generation: 2, Cmd: of("cmd"),
		Deps: []artifact.Input{
			{Path: "gen/api.json", Digest: of("api"), Size: 7, In: of("tree")},
			{Path: "run me.sh", Exec: true, Digest: of("script"), Size: 120},
			{Path: "src", Kind: artifact.Dir, Digest: of("src"), Size: 99, Files: 9},
		},
		Asked: artifact.Asked{
			Tools:  []artifact.Tool{{Cmd: "go version", Digest: of("go"), Size: 18, Line: "go1.26"}},
			Images: []artifact.Named{{Name: "alpine:3.20", Answer: "sha256:" + of("a").Hex()}},
			URLs:   []artifact.Named{{Name: "https://example.com/x", Answer: `etag:"1"`}},
		},
		Params: []lockfile.Param{{File: "p.yaml", Key: "a.b", Value: "true"}, {File: "q.yaml", Hash: of("secret")}},
		Env:    []lockfile.Env{{Name: "CC", Value: "gcc\x1b[1m"}, {Name: "TOKEN", Hash: "set"}},
		Outs: []artifact.Output{
			{Path: "dist", Dir: true, Digest: of("dist"), Size: 5, Files: 1},
			{Path: "app", Exec: true, Digest: of("app"), Size: 3, SHA256: strings.Repeat("ab", 32)},
		},
	}
}

func inShort(f *lockfile.File) string {
	var b bytes.Buffer
	Lock(&b, f.Encode())
	return b.String()
}

func TestALockInShortHasALineForEachThing(t *testing.T) {
	f := &lockfile.File{Stages: []lockfile.Stage{fullStage()}}
	f.SetSource(lockfile.Source{Path: "lib dir", Git: "https://example.com/lib", Ref: "main", Commit: of("c").Hex()[:40]})
	f.Set(lockfile.Stage{Name: "input:raw.csv", Key: digest.Key(of("raw")), Cmd: of("")})
	short := func(text string) string { return of(text).Short() }
	want := fmt.Sprintf(`stage build
  key %s, rebuild 2
  cmd %s
  dep gen/api.json %s 7 bytes, in %s
  dep run me.sh %s 120 bytes, executable
  dep src %s 9 files, 99 bytes
  tool go version %s 18 bytes, go1.26
  image alpine:3.20 sha256:%s
  url https://example.com/x etag:"1"
  param p.yaml:a.b=true
  param q.yaml=%s
  env CC=gcc\x1b[1m
  env TOKEN=set
  out app %s 3 bytes, executable, sha256 abababababab
  out dist %s 1 file, 5 bytes
input:raw.csv
  key %s
  cmd %s
source lib dir
  git https://example.com/lib
  ref main
  commit %s
`, short("key"), short("cmd"), short("api"), short("tree"), short("script"), short("src"), short("go"), short("a"), short("secret"), short("app"), short("dist"),
		short("raw"), short(""), short("c"))
	if got := inShort(f); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestBytesThatAreNoLockArePrintedAsTheyAre(t *testing.T) {
	for _, text := range []string{"", "a\r\n\x00\xff", "<<<<<<< HEAD\n::error::x"} {
		var b bytes.Buffer
		if Lock(&b, []byte(text)); b.String() != text {
			t.Errorf("%q is printed as %q", text, &b)
		}
	}
}

// Two locks that differ have texts that differ, or git would show an empty diff.
func TestALockInShortShowsEachChange(t *testing.T) {
	texts := map[string]string{inShort(&lockfile.File{Stages: []lockfile.Stage{fullStage()}}): "nothing"}
	for name, change := range map[string]func(s *lockfile.Stage){
		"key": func(s *lockfile.Stage) { s.Key = digest.Key(of("2")) }, "generation": func(s *lockfile.Stage) { s.Generation = 3 },
		"cmd": func(s *lockfile.Stage) { s.Cmd = of("2") }, "dep": func(s *lockfile.Stage) { s.Deps[0].Digest = of("2") },
		"dep size": func(s *lockfile.Stage) { s.Deps[0].Size = 8 }, "dep in": func(s *lockfile.Stage) { s.Deps[0].In = of("2") },
		"dep exec": func(s *lockfile.Stage) { s.Deps[1].Exec = false }, "dep files": func(s *lockfile.Stage) { s.Deps[2].Files = 8 },
		"dep path": func(s *lockfile.Stage) { s.Deps[0].Path = "other" }, "no dep": func(s *lockfile.Stage) { s.Deps = s.Deps[1:] },
		"tool": func(s *lockfile.Stage) { s.Tools[0].Digest = of("2") }, "tool size": func(s *lockfile.Stage) { s.Tools[0].Size = 1 },
		"tool line": func(s *lockfile.Stage) { s.Tools[0].Line = "2" }, "image": func(s *lockfile.Stage) { s.Images[0].Answer = "sha256:2" }, "url": func(s *lockfile.Stage) { s.URLs[0].Answer = "2" },
		"param":      func(s *lockfile.Stage) { s.Params[0].Value = "false" },
		"param hash": func(s *lockfile.Stage) { s.Params[1].Hash = of("2") }, "param key": func(s *lockfile.Stage) { s.Params[0].Key = "c" },
		"env": func(s *lockfile.Stage) { s.Env[0].Value = "2" }, "env hash": func(s *lockfile.Stage) { s.Env[1].Hash = "unset" },
		"out": func(s *lockfile.Stage) { s.Outs[0].Digest = of("2") }, "out size": func(s *lockfile.Stage) { s.Outs[0].Size = 1 },
		"out files": func(s *lockfile.Stage) { s.Outs[0].Files = 2 }, "out exec": func(s *lockfile.Stage) { s.Outs[1].Exec = false },
		"out sha256": func(s *lockfile.Stage) { s.Outs[1].SHA256 = strings.Repeat("cd", 32) },
	} {
		s := fullStage()
		change(&s)
		text := inShort(&lockfile.File{Stages: []lockfile.Stage{s}})
		if other := texts[text]; other != "" {
			t.Errorf("%s and %s have one text:\n%s", name, other, text)
		}
		texts[text] = name
	}
}
