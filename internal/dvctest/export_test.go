//go:build unix

package dvctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// works runs a command of DVC that must succeed.
func (p project) works(args ...string) string {
	p.t.Helper()
	out, code := p.dvc(args...)
	if code != 0 {
		p.t.Fatalf("dvc %s: exit code %d: %s", args, code, out)
	}
	return out
}

// pipes runs a command of pipe that must succeed.
func (p project) pipes(args ...string) string {
	p.t.Helper()
	out, code := p.pipe(args...)
	if code != 0 {
		p.t.Fatalf("pipe %s: exit code %d: %s", args, code, out)
	}
	return out
}

// upToDate holds that DVC has nothing to say and nothing to run.
func (p project) upToDate() {
	p.t.Helper()
	if out := p.works("status"); !strings.Contains(out, "Data and pipelines are up to date.") {
		p.t.Errorf("dvc status: %s", out)
	}
	if out := p.works("repro"); strings.Contains(out, "Running stage") {
		p.t.Errorf("dvc repro runs something: %s", out)
	}
}

// TestAProjectComesBackFromPipe takes projects of DVC over and back again.
func TestAProjectComesBackFromPipe(t *testing.T) {
	for _, name := range []string{"get-started", "foreach", "matrix", "monorepo"} {
		t.Run(name, func(t *testing.T) {
			p := project{t: t, at: filepath.Join(t.TempDir(), "project")}
			if err := os.CopyFS(p.at, os.DirFS("../../testdata/dvc/"+name)); err != nil {
				t.Fatal(err)
			}
			p.sh("if test -d services; then sed -i.orig '/^  date:/,$d' services/web/dvc.yaml; rm services/web/*.orig; fi") // it is always changed
			p.sh("git init -q && git add -A && git commit -q -m 1")
			p.works("pull")
			p.pipes("import", "dvc")
			p.sh("rm -rf .dvc; find . '(' -name '*.dvc' -o -name dvc.yaml -o -name dvc.lock ')' -exec rm {} +")
			p.pipes("export", "dvc")
			p.upToDate()
			p.pipes("plan")
			// The bytes are in DVC's cache.
			p.sh("git ls-files -o -i --exclude-standard | grep -v '^[.]dvc/' | grep -v '^[.]pipe/' | xargs rm")
			p.works("checkout")
			p.upToDate()
		})
	}
}

// TestAProjectOfPipeGoesToDVC takes one to DVC that was never there.
func TestAProjectOfPipeGoesToDVC(t *testing.T) {
	for _, below := range []string{"", "services/native"} {
		p := project{t: t, at: filepath.Join(t.TempDir(), "project")}
		top := p.at
		p.at = filepath.Join(p.at, below)
		if err := os.CopyFS(p.at, os.DirFS("testdata/native")); err != nil {
			t.Fatal(err)
		}
		p.sh("mkdir data; echo 1,2 > data/raw.csv; echo 'k: hidden' > secret.yaml; mv gitignore .gitignore; git init -q " + top + "; git add -A; git commit -q -m 1")
		p.pipes("repro", "--no-deploy")
		p.sh("cp pipe.lock lock.before")
		p.pipes("export", "dvc")
		p.upToDate()
		p.sh("cmp pipe.lock lock.before; if grep -r hidden dvc.lock dvc.yaml .dvc; then false; fi")
		p.sh("rm -rf dist words.txt app.txt raw.txt each-* w/*.txt big data/raw.csv")
		p.works("checkout")
		p.upToDate()
		// A change runs what it runs in pipe.
		p.sh("echo more >> src/a.c; echo 'x: 1' >> params.yaml")
		out := p.works("repro")
		for _, stage := range []string{"build-zip", "app"} {
			if !strings.Contains(out, "Running stage '"+stage+"'") {
				t.Errorf("%s does not run: %s", stage, out)
			}
		}
		if n := strings.Count(out, "Running stage"); n != 2 {
			t.Errorf("%d stages run: %s", n, out)
		}
	}
}
