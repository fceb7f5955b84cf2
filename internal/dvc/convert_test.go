package dvc

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

// TestConvert: each file of testdata/convert has a project of DVC, then the pipe.yaml files and notes that come
// of it.
func TestConvert(t *testing.T) {
	files, err := filepath.Glob("testdata/convert/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, given := t.TempDir(), &txtar.Archive{Comment: a.Comment}
			for _, f := range a.Files {
				if base := path.Base(f.Name); base != "pipe.yaml" && base != "notes" {
					given.Files = append(given.Files, f)
					write(t, dir, map[string]string{f.Name: string(f.Data)})
				}
			}
			p, err := Find(dir)
			if err != nil {
				t.Fatal(err)
			}
			c, err := p.Convert(Target{Name: "shop", Remote: `"../store/pipe"`, Inputs: []string{"data/[x].csv", "data/raw/"}, Raw: map[Template]bool{{"dvc.yaml", "raw", 1}: true}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range c.Files {
				given.Files = append(given.Files, txtar.File{Name: path.Join(f.Dir, "pipe.yaml"), Data: []byte(f.Text)})
			}
			var notes strings.Builder
			for _, n := range c.Notes {
				word := map[bool]string{true: "lost", false: "note"}[n.Lost]
				fmt.Fprintf(&notes, "%s %s: %s\n  %s\n", word, n.At, n.What, n.Do)
			}
			given.Files = append(given.Files, txtar.File{Name: "notes", Data: []byte(notes.String())})
			got := txtar.Format(given)
			if *update {
				if err := os.WriteFile(file, got, 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want, _ := os.ReadFile(file); string(want) != string(got) {
				t.Errorf("run go test ./internal/dvc -update and read the difference:\n%s", got)
			}
		})
	}
}
