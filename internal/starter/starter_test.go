package starter

import (
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pipe-build/pipe/internal/spec"
)

var update = flag.Bool("update", false, "write the golden files again")

// directory makes a Tree of an archive's files. The file ignored names directories that git
// ignores, tracked those in which it tracks something, and set variables, one a line.
func directory(files []txtar.File) *Tree {
	t := &Tree{}
	has := map[string][]byte{}
	for _, f := range files {
		has[f.Name] = f.Data
		if !strings.HasPrefix(f.Name, "=") {
			t.Files = append(t.Files, f.Name)
		}
	}
	slices.Sort(t.Files)
	says := func(file, name string) bool { return slices.Contains(strings.Fields(string(has[file])), name) }
	t.Read = func(name string) ([]byte, error) {
		if b, ok := has[name]; ok {
			return b, nil
		}
		return nil, fs.ErrNotExist
	}
	t.Ignored = func(name string, _ bool) (bool, error) { return says("=ignored", path.Base(name)), nil }
	t.Tracked = func(name string) (bool, error) { return says("=tracked", name), nil }
	t.Set = func(name string) bool { return says("=set", name) }
	return t
}

func TestTheSameFilesGiveTheSameProposal(t *testing.T) {
	const pkg = `{"scripts": {"build": "x"}, "bin": {"a": "lib/a.js", "b": "dist/b.js", "c": "out/c.js", "d": "build/d.js"}}`
	tree := directory([]txtar.File{{Name: "package.json", Data: []byte(pkg)}})
	for range 50 {
		if p, err := Propose("shop", tree); err != nil || !strings.Contains(p.Text, "outs: [lib/]") {
			t.Fatalf("%v\n%s", err, p.Text)
		}
	}
}

// TestEachProjectGetsItsPipeYaml: go test ./internal/starter -update
func TestEachProjectGetsItsPipeYaml(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) < 15 {
		t.Fatal(len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "=want" })
			if i < 0 {
				i = len(a.Files)
				a.Files = append(a.Files, txtar.File{Name: "=want"})
			}
			p, err := Propose("shop", directory(slices.Delete(slices.Clone(a.Files), i, i+1)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := spec.Parse(spec.FileName, []byte(p.Text)); err != nil {
				t.Fatalf("%v\n%s", err, p.Text)
			}
			_, got, _ := strings.Cut(p.Text, "\nstages:\n")
			got, _, _ = strings.Cut(got, "\n  # A deploy stage runs")
			for _, f := range p.Found {
				got += "found " + f.File + ": " + f.Why + strings.Join(f.Stages, ", ") + "\n"
			}
			if *update && got != string(a.Files[i].Data) {
				a.Files[i].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(a), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(a.Files[i].Data) {
				t.Errorf("got\n%s\nwant\n%s", got, a.Files[i].Data)
			}
		})
	}
}

// TestWhatSurroundsTheStages: the golden files do not repeat it.
func TestWhatSurroundsTheStages(t *testing.T) {
	for _, c := range []struct{ files, want string }{
		{"", "\nproject: shop\n"},
		{"", "  #   deps: [artifacts/hello.txt, deploy.sh]\n"},
		{"-- go.mod --\nmodule x\n-- a.go --\npackage main\n", "  #   deps: [bin/x, deploy.sh]\n  #   needs: [test]\n"},
		{"-- go.mod --\nmodule x\n-- a.go --\npackage main\n-- Dockerfile --\n", "  #   deps: [dist/image.tar, deploy.sh]\n  #   needs: [test]\n"},
		{"-- Containerfile --\n", "docker build -t shop -f Containerfile .\n"},
	} {
		p, err := Propose("shop", directory(txtar.Parse([]byte(c.files)).Files))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.Text, "# pipe.yaml declares ") || !strings.Contains(p.Text, c.want) {
			t.Errorf("%q: not %q in\n%s", c.files, c.want, p.Text)
		}
	}
}
