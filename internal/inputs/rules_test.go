//go:build !windows

package inputs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

func TestAFileIsHiddenByWhatItLeadsTo(t *testing.T) {
	w := workspace(t)
	w.write(t, ".gitignore", ".env\nkube/\n!kube/open\n")
	w.write(t, ".env", "1")
	w.write(t, "kube/open", "1")
	w.write(t, "src/main.go", "1")
	w.write(t, "src/.pipeignore", "local\n")
	w.write(t, "src/local", "1")
	w.write(t, ".git/config", "1")
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, nil, 0o666))
	for link, target := range map[repopath.Path]string{
		"a": ".env", "b": "a", "c": "kube", "d": "src", "e": ".git/config", "f": outside, "g": "src/main.go", "kube/h": "../src/main.go",
	} {
		w.link(t, link, target)
	}
	for p, want := range map[repopath.Path]bool{
		".env": true, "kube/open": true, "src/main.go": false, "src/local": true,
		"a": true, "b": true, "c/open": true, "d/main.go": false, "d/local": true, "e": true, "f": true, "g": false, "kube/h": false,
	} {
		hidden, real, err := w.Hidden(p)
		must(t, err)
		if is, _ := filepath.EvalSymlinks(w.OS(p)); hidden != want || real != is {
			t.Errorf("%s: hidden %t, want %t; lies at %s", p, hidden, want, real)
		}
	}
	if _, _, err := w.Hidden("none"); err == nil {
		t.Error("what is not there was judged")
	}
}
