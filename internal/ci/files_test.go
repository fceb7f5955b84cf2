package ci_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/ci"
)

// outputsIn reads a file of outputs as GitHub's runner does (actions/runner, FileCommandManager.cs,
// EnvFileKeyValuePairs).
func outputsIn(t *testing.T, text string) map[string]string {
	t.Helper()
	all, lines := map[string]string{}, strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case line == "":
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			all[line[:equals]] = line[equals+1:]
		case heredoc > 0:
			var value []string
			for i++; i < len(lines) && lines[i] != line[heredoc+2:]; i++ {
				value = append(value, lines[i])
			}
			if i == len(lines) {
				t.Errorf("%s has no end", line)
			}
			all[line[:heredoc]] = strings.Join(value, "\n")
		default:
			t.Errorf("the runner refuses %q", line)
		}
	}
	return all
}

func TestAnOutputIsWhatItIsAndSetsNoOther(t *testing.T) {
	want := map[string]string{
		"empty": "", "plain": "true", "lines": "a\nb\n\n", "other": "x\nchanged=true\nlock-commit<<E\nevil\nE", "heredoc": "changed<<pipe_", "json": `{"a\nb":{"=":"<<"}}`, "cr": "a\r\nb",
	}
	var all []ci.Output
	for name, value := range want {
		all = append(all, ci.Output{Name: name, Value: value})
	}
	text := ci.Outputs(all)
	if got := outputsIn(t, text); !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	ends := map[string]bool{}
	for line := range strings.Lines(text + ci.Outputs(all)) {
		if name, end, is := strings.Cut(line, "<<"); is && want[name] != "" {
			if ends[end] || len(end) < 20 {
				t.Errorf("%q can be foreseen", end)
			}
			ends[end] = true
		}
	}
}

func TestWhatOthersWroteStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary")
	for range 2 {
		if err := ci.Append(path, "line\n"); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "line\nline\n" {
		t.Errorf("%q, %v", b, err)
	}
	if got := ci.Room(path); got != 1<<20-10 {
		t.Errorf("room for %d bytes", got)
	}
	if got := ci.Room(path + "x"); got != 1<<20 {
		t.Errorf("room for %d bytes", got)
	}
	if err := os.Truncate(path, 2<<20); err != nil || ci.Room(path) != 0 {
		t.Errorf("room for %d bytes, %v", ci.Room(path), err)
	}
}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "absent", "file"), os.DevNull} {
		if err := ci.Append(path, "x"); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}
