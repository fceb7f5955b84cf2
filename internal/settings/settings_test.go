package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"# nothing\n":      "",
		"deploy: never\n":  Never,
		"deploy: always\n": Always,
		"deploy: ask\n":    Ask,
		"deploy: nevr\n":   "error deploy: must be ask, never or always",
		"deploy: [never]":  "error deploy: must be",
		"depoly: never\n":  `error unknown key "depoly"`,
		"- deploy\n":       "error must be a map",
		"deploy: {\n":      "error ",
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "pipe"), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "pipe", "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Read([]string{"XDG_CONFIG_HOME=" + dir})
		if says, bad := strings.CutPrefix(want, "error "); bad {
			if !diag.Is(err, diag.Usage) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%q: %+v, %v", text, s, err)
			}
		} else if err != nil || s.Deploy != want {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}

func TestWithoutAFileOrADirectoryAllIsTheDefault(t *testing.T) {
	for _, environ := range [][]string{nil, {"HOME=" + t.TempDir()}, {"HOME=relative"}, {"XDG_CONFIG_HOME=relative", "HOME=" + t.TempDir()}} {
		if s, err := Read(environ); err != nil || s != (Settings{}) {
			t.Errorf("%v: %+v, %v", environ, s, err)
		}
	}
	if dir, err := Dir([]string{"XDG_CONFIG_HOME=relative", "HOME=/home/x"}); err != nil || dir != filepath.Join("/home/x", ".config", "pipe") {
		t.Errorf("%s, %v", dir, err)
	}
}
