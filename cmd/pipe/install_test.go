//go:build !windows

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/pipe"
)

const installer = "../../internal/tools/install.sh"

// releases are what a server has: paths to contents.
type releases map[string][]byte

// archiveName is how make release names an archive.
func archiveName(t *testing.T, version string) string {
	t.Helper()
	const config = "../../.goreleaser.yaml"
	b, err := os.ReadFile(config)
	must(t, err)
	root, err := yamldoc.Parse(config, b, yamldoc.Options{})
	must(t, err)
	if root.Get("checksum").Get("name_template").Value != "SHA256SUMS" {
		t.Fatal("install.sh asks for SHA256SUMS")
	}
	name := root.Get("archives").Items[0].Get("name_template").Value
	return strings.NewReplacer("{{ .Version }}", version, "{{ .Os }}", runtime.GOOS, "{{ .Arch }}", runtime.GOARCH).Replace(name) + ".tar.gz"
}

// add adds a release whose pipe prints its version.
func (r releases) add(t *testing.T, at, version string) (archive string) {
	t.Helper()
	return r.addScript(t, at, version, "echo pipe "+version)
}

// addScript adds a release whose pipe is a script.
func (r releases) addScript(t *testing.T, at, version, script string) (archive string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{"LICENSE": "", "pipe": "#!/bin/sh\n" + script + "\n"} {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}))
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	archive = archiveName(t, version)
	r[at+"/"+archive] = b.Bytes()
	r[at+"/SHA256SUMS"] = fmt.Appendf(nil, "%x  pipe_%s_plan9_amd64.tar.gz\n%x  %s\n", sha256.Sum256(nil), version, sha256.Sum256(b.Bytes()), archive)
	return archive
}

// serve serves the releases on this machine, and returns the URL.
func (r releases) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, ok := r[strings.TrimPrefix(q.URL.Path, "/releases/")]
		if !ok {
			http.Error(w, "<html>not found</html>", http.StatusNotFound)
			return
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/releases"
}

// tools makes a directory with nothing but what install.sh needs, and the named programs.
func tools(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	names = append(names, "sh", "uname", "mktemp", "tar", "gzip", "grep", "mkdir", "cp", "chmod", "mv", "rm", "cat")
	for _, n := range names {
		at, err := exec.LookPath(n)
		must(t, err)
		must(t, os.Symlink(at, filepath.Join(dir, n)))
	}
	return dir
}

// install runs install.sh by a shell and returns what it said.
func install(t *testing.T, shell []string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(shell[0], append(shell[1:], installer)...)
	cmd.Env = append([]string{"TMPDIR=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// present returns those programs that this machine has, of which there must be one.
func present(t *testing.T, names ...string) (found []string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err == nil {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		t.Fatalf("none of %s is installed", strings.Join(names, ", "))
	}
	return found
}

func TestTheInstallScriptInstallsWithWhatAMachineHas(t *testing.T) {
	r := releases{}
	r.add(t, "latest/download", "0.2.0")
	r.add(t, "download/v0.1.0", "0.1.0")
	url := "PIPE_URL=" + r.serve(t)
	for _, get := range present(t, "curl", "wget") {
		for _, sum := range present(t, "sha256sum", "shasum") {
			path := "PATH=" + tools(t, get, sum) + "/"
			if sum == "shasum" { // a Perl script
				path += ":" + tools(t, "perl")
			}
			home := filepath.Join(t.TempDir(), "a home")
			out, err := install(t, []string{"/bin/sh"}, url, path, "HOME="+home)
			want := "installed pipe 0.2.0 as " + home + "/.local/bin/pipe\nadd " + home + "/.local/bin to your PATH\n"
			if err != nil || out != want {
				t.Errorf("with %s and %s: %v\n%s", get, sum, err, out)
			}
		}
	}
	sum := fmt.Sprintf("PIPE_SHA256=%x", sha256.Sum256(r["latest/download/"+archiveName(t, "0.2.0")]))
	if out, err := install(t, []string{"/bin/sh"}, url, sum, "BIN_DIR="+t.TempDir()); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	out, err := install(t, []string{"/bin/sh"}, url, sum[:len(sum)-1]+"x", "BIN_DIR="+dir)
	if left, _ := os.ReadDir(dir); err == nil || len(left) > 0 || !strings.Contains(lastLine(out), "but PIPE_SHA256 is") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, sh := range present(t, "sh", "dash", "bash", "busybox") {
		shell := []string{sh}
		if sh == "busybox" {
			shell = append(shell, "sh")
		}
		dir := t.TempDir()
		for _, version := range []string{"0.1.0", "v0.1.0"} {
			out, err := install(t, shell, url, "PIPE_VERSION="+version, "BIN_DIR="+dir, "PATH="+os.Getenv("PATH")+":"+dir)
			if err != nil || out != "installed pipe 0.1.0 as "+dir+"/pipe\n" {
				t.Errorf("%s: %v\n%s", sh, err, out)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: left %v", sh, left)
		}
	}
}

func TestTheInstallScriptInstallsNothingElse(t *testing.T) {
	for name, harm := range map[string]func(r releases, archive string){
		"has the SHA-256": func(r releases, a string) { r[a] = append(r[a], 0) },
		"cannot download": func(r releases, a string) { delete(r, a) },
		"SHA256SUMS":      func(r releases, _ string) { delete(r, "latest/download/SHA256SUMS") },
		"there is no release for": func(r releases, _ string) {
			r["latest/download/SHA256SUMS"] = []byte("00  pipe_1_plan9_amd64.tar.gz\n")
		},
		"several archives": func(r releases, _ string) { s := "latest/download/SHA256SUMS"; r[s] = append(r[s], r[s]...) },
		"is not a plain name": func(r releases, _ string) {
			s := "latest/download/SHA256SUMS"
			r[s] = bytes.Replace(r[s], []byte("  pipe_0.2.0_"+runtime.GOOS), []byte("  ../../pipe_0.2.0_"+runtime.GOOS), 1)
		},
		"does not contain pipe": func(r releases, a string) { resum(r, a, []byte("no archive")) },
	} {
		r := releases{}
		archive := "latest/download/" + r.add(t, "latest/download", "0.2.0")
		harm(r, archive)
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "pipe"), []byte("old"), 0o755))
		out, err := install(t, []string{"/bin/sh"}, "PIPE_URL="+r.serve(t), "BIN_DIR="+dir)
		if err == nil || !strings.HasPrefix(lastLine(out), "install.sh: ") || !strings.Contains(out, name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		left, _ := os.ReadDir(dir)
		if old, _ := os.ReadFile(filepath.Join(dir, "pipe")); string(old) != "old" || len(left) != 1 {
			t.Errorf("%s: the old program is gone, or %v is left", name, left)
		}
	}
}

// resum replaces an archive and makes the sums right.
func resum(r releases, archive string, b []byte) {
	r[archive] = b
	r["latest/download/SHA256SUMS"] = fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(b), filepath.Base(archive))
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// TestTheInstallScriptCutShortDoesNothing: curl | sh runs what has arrived.
func TestTheInstallScriptCutShortDoesNothing(t *testing.T) {
	b, err := os.ReadFile(installer)
	must(t, err)
	for n := 0; n < len(b)-len("main\n"); n += 97 {
		cmd := exec.Command("/bin/sh")
		cmd.Stdin, cmd.Env = bytes.NewReader(b[:n]), []string{"PATH=" + os.Getenv("PATH"), "HOME=/nowhere", "PIPE_URL=http://127.0.0.1:1"}
		if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "install.sh:") {
			t.Errorf("the first %d bytes: %s", n, out)
		}
	}
}

// TestTheActionInstallsTheReleaseThatItIsPartOf: who pins the action by a commit gets that commit's release.
func TestTheActionInstallsTheReleaseThatItIsPartOf(t *testing.T) {
	const action = "../../.github/actions/setup/action.yml"
	root, err := yamldoc.Parse(action, []byte(readFile(t, action)), yamldoc.Options{})
	must(t, err)
	want := strings.TrimSuffix(pipe.Build().Version, "-dev")
	if got := root.Get("inputs").Get("version").Get("default").Value; got != want {
		t.Errorf("%s installs %s, not %s", action, got, want)
	}
}
