//go:build unix

package dvctest

import (
	"crypto/md5"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// past is a project of DVC with a remote that has two commits: data/raw.csv and all that depends on it was other
// in the first one.
type past struct {
	project
	remote string            // the directory where DVC's remote is
	first  map[string]string // its files at the first commit
}

// remotes are the ways to keep DVC's objects elsewhere: each adds a remote, and returns the directory where it is.
func remotes() map[string]func(p project) string {
	return map[string]func(p project) string{
		"directory": func(p project) string {
			p.works("remote", "add", "--default", "store", "../store") // .dvc/config has ../../store
			return filepath.Join(filepath.Dir(p.at), "store")
		},
		"S3": func(p project) string {
			at := fmt.Sprintf("/%s/%x", shared.s3.Bucket, md5.Sum([]byte(p.at)))
			p.works("remote", "add", "--default", "store", "s3:/"+at)
			p.works("remote", "modify", "store", "endpointurl", shared.s3.Endpoint)
			return shared.s3.Dir + at
		},
	}
}

func makePast(t *testing.T, add func(p project) string) past {
	t.Helper()
	p := past{project: begun(t, "testdata/twin")}
	p.remote = add(p.project)
	p.works("add", "data/raw.csv", "data/images")
	p.works("repro")
	p.works("push")
	p.sh("git add -A; git commit -qm First")
	p.first = p.files()
	p.sh("echo 4,40 >> data/raw.csv")
	p.works("repro")
	p.works("push")
	p.sh("git commit -qam Second")
	p.ran()
	return p
}

// clone returns a fresh clone beside nothing else. A remote that is a path is found from there as from the project.
func (p past) clone(t *testing.T) project {
	t.Helper()
	c := project{t: t, at: filepath.Join(t.TempDir(), "clone"), file: "pipe.yaml"}
	if err := os.Mkdir(c.at, 0o755); err != nil {
		t.Fatal(err)
	}
	c.sh("git clone -q '" + p.at + "' .")
	if filepath.Dir(p.remote) == filepath.Dir(p.at) {
		c.sh("ln -s '" + p.remote + "' ../store")
	}
	return c
}

func TestImportOfAProjectWithARemote(t *testing.T) {
	for name, add := range remotes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := makePast(t, add)
			before := p.untouched()
			p.imports()
			lock := p.read("pipe.lock")
			t.Run("remote only", func(t *testing.T) {
				c := p.clone(t)
				c.imports()
				if got := c.read("pipe.lock"); got != lock {
					t.Errorf("the bytes of DVC's remote make %s\nnot %s", got, lock)
				}
				c.onlyStampRuns()
			})
			p.onlyStampRuns()
			p.pipes("push")
			for name, was := range changed(before, p.untouched()) {
				t.Errorf("pipe has changed a file of DVC: %s %s", name, was)
			}
			p.sh("git add -A; git commit -qm 'To pipe'")
			p.finds(t)
			t.Run("clone", func(t *testing.T) { p.inAClone(t) })
		})
	}
}

// imports makes a project of pipe: all stages are carried over, and no command runs.
func (p project) imports(args ...string) {
	p.t.Helper()
	said := p.pipes(append([]string{"import", "dvc"}, args...)...)
	if n := regexp.MustCompile(`(\d+) of (\d+) stages up to date`).FindStringSubmatch(said); n == nil || n[1] != n[2] {
		p.t.Errorf("not all is imported: %s", said)
	}
	if ran := p.ran(); len(ran) > 0 {
		p.t.Errorf("pipe import dvc runs %s", ran)
	}
}

// read returns a file's text.
func (p project) read(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.at, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// inAClone runs nothing in a clone that has neither DVC's bytes nor pipe's, and fetches them from pipe's remote.
func (p past) inAClone(t *testing.T) {
	c := p.clone(t)
	c.onlyStampRuns()
	if got := c.files()["page.html"]; got != "" {
		t.Errorf("page.html was fetched: %q", got)
	}
	c.pipes("pull")
	if dvc, pipe := p.files(), c.files(); !maps.Equal(dvc, pipe) {
		t.Errorf("pipe pull brings %q\nnot %q", pipe, dvc)
	}
}

// onlyStampRuns checks that repro has nothing to do, but for the stage that always runs.
func (p project) onlyStampRuns() {
	p.t.Helper()
	out := p.pipes("repro")
	if ran := p.ran(); !slices.Equal(ran, []string{"stamp"}) {
		p.t.Errorf("pipe repro runs %s: %s", ran, out)
	}
}

// finds looks for what DVC named by md5: now, at the first commit, and inside a directory.
func (p past) finds(t *testing.T) {
	t.Helper()
	for name, text := range map[string]string{
		"an output":                         p.files()["page.html"],
		"an input":                          p.files()["data/raw.csv"],
		"a file in an output directory":     p.files()["data/prepared/test/part.csv"],
		"an old output":                     p.first["page.html"],
		"an old input":                      p.first["data/raw.csv"],
		"an old file in a directory output": p.first["data/prepared/test/part.csv"],
	} {
		sum := fmt.Sprintf("%x", md5.Sum([]byte(text)))
		to := filepath.Join(t.TempDir(), "found")
		out, code := p.pipe("find", sum, "-o", to)
		got, err := os.ReadFile(to)
		if code != 0 || err != nil || string(got) != text {
			t.Errorf("pipe find %s: %s: exit code %d, %v, %q: %s", sum, name, code, err, got, out)
		}
	}
}

// untouched describes every file of DVC, in the project and in its remote.
func (p past) untouched() map[string]string {
	p.t.Helper()
	return p.described(p.at, p.remote)
}

// described tells the mode, the time and the bytes of all files below some directories, but pipe's.
func (p project) described(roots ...string) map[string]string {
	p.t.Helper()
	seen := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if d != nil && slices.Contains([]string{".git", ".pipe", "pipe"}, d.Name()) || strings.HasSuffix(name, ".dvc/tmp") {
					return fs.SkipDir
				}
				return err
			}
			if slices.Contains([]string{"pipe.yaml", "pipe.lock", ".pipeignore", ".gitattributes", "stamp.txt"}, d.Name()) {
				return nil
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			info, err := d.Info()
			seen[name] = fmt.Sprint(info.Mode(), info.ModTime(), info.Size(), fmt.Sprintf(" %x", md5.Sum(b)))
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return seen
}

// changed returns the names that two maps do not have alike, with what the first has.
func changed(a, b map[string]string) map[string]string {
	diff := map[string]string{}
	for name, was := range a {
		if b[name] != was {
			diff[name] = was
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			diff[name] = "is new"
		}
	}
	return diff
}
