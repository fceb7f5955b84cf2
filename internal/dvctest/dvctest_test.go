//go:build unix

package dvctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestACommandOfTheRealDVCRuns(t *testing.T) {
	dir := t.TempDir()
	d, err := Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	at := filepath.Join(dir, "project")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--version", 0, "3.67.1"},
		{"init --no-scm", 0, "Initialized DVC repository"},
		{"repro", 255, "dvc.yaml"},
		{"nonsense", 254, "nonsense"},
	} {
		r, err := d.Run(t.Context(), at, strings.Fields(c.args)...)
		if err != nil || r.Code != c.code || !strings.Contains(r.Output, c.says) {
			t.Errorf("dvc %s: %v, exit code %d, not %d: %s", c.args, err, r.Code, c.code, r.Output)
		}
	}
}

func TestItSaysWhatIsMissing(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	fails := func(says string) {
		t.Helper()
		_, err := Start(t.Context(), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "python3-venv") {
			t.Errorf("no %q: %v", says, err)
		}
	}
	fails("python3")
	script := "#!/bin/sh\n[ \"$1\" = -c ] && exit\n[ \"$2\" = venv ] && exec /bin/mkdir -p \"$3/bin\"\n"
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	fails("-m pip install")
	fails("-m pip install") // what has not come to its end is not kept
}
