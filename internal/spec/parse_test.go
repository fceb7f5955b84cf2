package spec

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestBadFilesNameAllTheirFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(FileName, data)
			var list diag.List
			if p != nil || !errors.As(err, &list) {
				t.Fatalf("got %v, %v", p, err)
			}
			var got strings.Builder
			for _, e := range list {
				fmt.Fprintln(&got, e)
				if e.Hint != "" {
					fmt.Fprintf(&got, "    hint: %s\n", e.Hint)
				}
				if e.Kind != diag.Usage {
					t.Errorf("%v has kind %s", e, e.Kind)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got.String())
		})
	}
}

// golden compares a text with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("got\n%s\nwant\n%s%v", got, want, err)
	}
}

func TestYAMLBombsStopInAProject(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("stages:\n  a:\n    cmd: x\n    meta:\n    - &a0 [lol]\n")
	for i := range 40 {
		fmt.Fprintf(&doc, "    - &a%d [%s]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 10))
	}
	_, err := Parse(FileName, []byte(doc.String())) // without a bound it never ends
	if err == nil || !strings.HasSuffix(err.Error(), "too many values, or values nested too deeply") {
		t.Errorf("got %v", err)
	}
}
