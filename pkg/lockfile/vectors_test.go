package lockfile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
)

// vectors is where another implementation finds them; README.md there says how to use them.
const vectors = "../../testdata/vectors/lock"

// reading is what a vector says is read of a lock, with the lock's own names of fields.
type reading struct {
	Stages  []map[string]any `json:"stages"`
	Sources []map[string]any `json:"sources,omitempty"`
	Absent  []string         `json:"absent"` // stages
}

// readingOf is what Parse made of a lock.
func readingOf(f *File) reading {
	r := reading{Stages: []map[string]any{}, Absent: []string{}}
	for i := range f.Stages {
		s := &f.Stages[i]
		m := map[string]any{"name": s.Name, "key": s.Key.String(), "cmd": s.Cmd.String()}
		if s.Generation > 0 {
			m["generation"] = s.Generation
		}
		for list, items := range map[string][]map[string]any{"deps": deps(s), "tools": tools(s), "images": namedItems(s.Images), "urls": namedItems(s.URLs), "params": params(s), "env": env(s), "outs": outs(s)} {
			if len(items) > 0 {
				m[list] = items
			}
		}
		r.Stages = append(r.Stages, m)
	}
	for _, s := range f.Sources {
		r.Sources = append(r.Sources, item(map[string]any{"path": string(s.Path), "git": s.Git, "ref": s.Ref, "commit": s.Commit}, "ref"))
	}
	for _, a := range f.Absent {
		if a.Stage != "" {
			r.Absent = append(r.Absent, a.Stage)
		}
	}
	return r
}

// item drops the fields that are not written.
func item(fields map[string]any, optional ...string) map[string]any {
	for _, name := range optional {
		if v := fields[name]; v == "" || v == false || v == int64(0) {
			delete(fields, name)
		}
	}
	return fields
}

func deps(s *Stage) (out []map[string]any) {
	for _, d := range s.Deps {
		in := ""
		if !d.In.IsZero() {
			in = d.In.String()
		}
		out = append(out, item(map[string]any{
			"path": string(d.Path), "kind": string(d.Kind), "exec": d.Exec, "hash": d.Digest.String(), "size": d.Size, "files": d.Files, "in": in,
		}, "kind", "exec", "files", "in"))
	}
	return out
}

func tools(s *Stage) (out []map[string]any) {
	for _, t := range s.Tools {
		out = append(out, item(map[string]any{"cmd": t.Cmd, "hash": t.Digest.String(), "size": t.Size, "line": t.Line}, "line"))
	}
	return out
}

func namedItems(all []artifact.Named) (out []map[string]any) {
	for _, n := range all {
		out = append(out, map[string]any{"name": n.Name, "answer": n.Answer})
	}
	return out
}

// named has what is asked for by names.
func named() *File {
	return &File{Stages: []Stage{{
		Name: "build", Key: keyOf("build"), Cmd: sum("make"),
		Asked: artifact.Asked{
			Tools: []artifact.Tool{{Cmd: "uname", Digest: sum("Linux\n"), Size: 6}},
			Images: []artifact.Named{
				{Name: "alpine", Answer: "sha256:" + sum("alpine").Hex()},
				{Name: "alpine:3.20", Answer: "sha512:" + sum("1").Hex() + sum("2").Hex()},
			},
			URLs: []artifact.Named{
				{Name: "http://127.0.0.1:8080/a?b=c&d={e}", Answer: sum("body").String()},
				{Name: "https://example.com/x.csv", Answer: `etag:"33a64df5-~!#$[]{}\'"`},
			},
		},
		Outs: []artifact.Output{{Path: "out", Digest: sum("out"), Size: 5}},
	}}}
}

func params(s *Stage) (out []map[string]any) {
	for _, p := range s.Params {
		m := item(map[string]any{"file": string(p.File), "key": p.Key}, "key")
		if m["value"] = p.Value; !p.Hash.IsZero() {
			delete(m, "value")
			m["hash"] = p.Hash.String()
		}
		out = append(out, m)
	}
	return out
}

func env(s *Stage) (out []map[string]any) {
	for _, e := range s.Env {
		m := map[string]any{"name": e.Name, "value": e.Value}
		if e.Hash != "" {
			m = map[string]any{"name": e.Name, "hash": e.Hash}
		}
		out = append(out, m)
	}
	return out
}

func outs(s *Stage) (out []map[string]any) {
	for _, o := range s.Outs {
		kind := ""
		if o.Dir {
			kind = "dir"
		}
		out = append(out, item(map[string]any{
			"path": string(o.Path), "kind": kind, "exec": o.Exec, "hash": o.Digest.String(), "size": o.Size, "files": o.Files, "sha256": o.SHA256,
		}, "kind", "exec", "files", "sha256"))
	}
	return out
}

// outside has deps outside the project, beside those inside with the same paths.
func outside() *File {
	return &File{Stages: []Stage{{
		Name: "build", Key: keyOf("build"), Cmd: sum("make"),
		Deps: []artifact.Input{
			{Path: "lib", Kind: artifact.Dir, Digest: sum("lib"), Size: 1, Files: 1},
			{Path: "lib", Kind: artifact.TopDir, Digest: sum("the other lib"), Size: 2, Files: 1},
			{Path: "lib/*.c", Kind: artifact.TopGlob, Digest: sum("glob"), Size: 3, Files: 1},
			{Path: "run.sh", Kind: artifact.TopFile, Exec: true, Digest: sum("run"), Size: 4, In: sum("tree")},
		},
		Outs: []artifact.Output{{Path: "out", Digest: sum("out"), Size: 5}},
	}}}
}

// writeVectors makes the files anew from the cases of the other tests.
func writeVectors(t *testing.T) {
	t.Helper()
	a, b := blockOf("a"), blockOf("b")
	first := string(example().Stages[0].append(nil))
	extra := forged(forged(first, "size: 120}", "size: 120, x-mode: 0o755, x-note: \"a } b\"}"), "files: 1} # build\n", "files: 1} # build\n    x-a: anything {\n    x-b:\n      - 1\n")
	locks := map[string]map[string]string{
		"valid": {"example": string(example().Encode()), "empty": string((&File{}).Encode()), "extra": head + extra, "outside": string(outside().Encode()), "asked": string(named().Encode()), "sources": string(withSources().Encode())},
		"damaged": {
			"windows": strings.ReplaceAll("\ufeff"+head+a+b, "\n", "\r\n"), "another order": head + b + a, "twice the same": head + a + b + a,
			"union of an empty": banner + "schema: 1\nstages: {}\nstages:\n" + a + b, "no last newline": strings.TrimSuffix(head+a+b, "\n"),
		},
		"newer":   newers(),
		"refused": {"words": "hello\n", "dvc": "schema: '2.0'\nstages: {}\n"},
	}
	for name, lock := range damagedSources() {
		locks["damaged"]["source-"+name] = lock
	}
	for name, lock := range damages() {
		if len(lock) < maxLine {
			locks["damaged"][name] = lock
		}
	}
	for dir, all := range locks {
		must(t, os.RemoveAll(filepath.Join(vectors, dir)))
		must(t, os.MkdirAll(filepath.Join(vectors, dir), 0o777))
		for name, lock := range all {
			name = strings.NewReplacer(" ", "-", ":", "", ".", "").Replace(name)
			must(t, os.WriteFile(filepath.Join(vectors, dir, name+".lock"), []byte(lock), 0o666))
			if f, err := Parse(FileName, []byte(lock)); err == nil {
				j, err := json.MarshalIndent(readingOf(f), "", "  ")
				must(t, err)
				must(t, os.WriteFile(filepath.Join(vectors, dir, name+".json"), append(j, '\n'), 0o666))
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVectorsAreReadAsTheySay(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for dir, least := range map[string]int{"valid": 6, "damaged": 40, "newer": 10, "refused": 2} {
		files, err := filepath.Glob(filepath.Join(vectors, dir, "*.lock"))
		if err != nil || len(files) < least {
			t.Fatalf("%s: %d vectors, %v", dir, len(files), err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			must(t, err)
			f, err := Parse(FileName, data)
			if dir == "newer" || dir == "refused" {
				if want := map[string]diag.Kind{"newer": diag.Policy, "refused": diag.Usage}[dir]; !diag.Is(err, want) {
					t.Errorf("%s: %+v, %v", file, f, err)
				}
				continue
			}
			must(t, err)
			want, err := os.ReadFile(strings.TrimSuffix(file, "lock") + "json")
			must(t, err)
			got, err := json.MarshalIndent(readingOf(f), "", "  ")
			must(t, err)
			if !bytes.Equal(append(got, '\n'), want) {
				t.Errorf("%s: read as\n%s", file, got)
			}
			if again := f.Encode(); dir == "valid" && !bytes.Equal(again, data) {
				t.Errorf("%s: written again as\n%s", file, again)
			}
		}
	}
}
