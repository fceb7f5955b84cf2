package params

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// TestVectors runs what other implementations run: testdata/vectors/README.md.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../../testdata/vectors/params/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Name, Source, Key string
			File              repopath.Path
			Value             *string
			Error             bool
		}
		if err := json.Unmarshal(data, &cases); err != nil || len(cases) == 0 {
			t.Fatalf("%s: %d cases, %v", f, len(cases), err)
		}
		for _, c := range cases {
			t.Run(filepath.Base(f)+"/"+c.Name, func(t *testing.T) {
				var keys []string
				if c.Key != "" {
					keys = []string{c.Key}
				}
				got, err := Read(c.File, []byte(c.Source), keys)
				switch {
				case c.Error == (c.Value != nil):
					t.Fatal("want either a value or an error")
				case c.Error && err == nil:
					t.Errorf("got %s, want an error", got[0].Value)
				case c.Value != nil && err != nil:
					t.Errorf("got %v, want %s", err, *c.Value)
				case c.Value != nil && got[0].Value != *c.Value:
					t.Errorf("got  %s\nwant %s", got[0].Value, *c.Value)
				}
			})
		}
	}
}
