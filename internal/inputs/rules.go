package inputs

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ignoreFiles are read in each directory. Of the patterns that match, the last
// one counts, so that .pipeignore goes before .gitignore of the same directory.
var ignoreFiles = [...]string{".gitignore", ".pipeignore"}

// ruled is what is known of a directory.
type ruled struct {
	rules   *ignore.Rules // inside it
	ignored bool          // the directory itself is
}

// Forget drops what is remembered of ignore files and sources: a command may have changed them.
func (r *Reader) Forget() {
	r.known.Clear()
	r.ran.Store(true)
}

// Ignored reports whether git or a .pipeignore ignores the path, or a directory
// on the way to it: what lies in an ignored directory cannot be taken back by a
// pattern with a !, see gitignore(5).
func (r *Reader) Ignored(p repopath.Path, isDir bool) (bool, error) {
	if p == repopath.Root || r.rules == nil {
		return false, nil
	}
	k, err := r.in(p.Dir())
	return err == nil && (k.ignored || k.rules.Match(p.Base(), isDir)), err
}

// Hidden reports whether a file's bytes are this machine's own affair: git or a .pipeignore
// ignores the file, or what it stands for. A symlink, its own or that of a directory above,
// stands for what it leads to, and what lies in .git or outside the project is hidden as if it
// were ignored. Whether git tracks the file all the same is not looked at. real is the absolute
// name of what was found in the end.
func (r *Reader) Hidden(p repopath.Path) (hidden bool, real string, err error) {
	real, err = filepath.EvalSymlinks(r.work.OS(p))
	if err != nil {
		return false, "", err
	}
	to, ok := r.project(real)
	if !ok {
		return true, real, nil
	}
	hidden, err = r.Ignored(to, false)
	return hidden, real, err
}

// project returns the path in the project of an absolute name without symlinks; false: it lies
// outside, or where no file of a project does.
func (r *Reader) project(real string) (repopath.Path, bool) {
	rel, err := filepath.Rel(r.work.Root(), real)
	if err != nil {
		return "", false
	}
	p, err := repopath.FromOS(rel)
	return p, err == nil
}

// above returns the ignore rules that hold in the directory above p, and
// whether they ignore p as a directory, or a directory on the way to it.
func (r *Reader) above(p repopath.Path) (*ignore.Rules, bool, error) {
	if p == repopath.Root || r.rules == nil {
		return r.rules, false, nil
	}
	k, err := r.in(p.Dir())
	if err != nil {
		return nil, false, err
	}
	return k.rules, k.ignored || k.rules.Match(p.Base(), true), nil
}

// in returns what is known of a directory. It works its way down from the root and
// remembers each step. Two goroutines may read the same files at once; the first
// answer stays.
func (r *Reader) in(dir repopath.Path) (ruled, error) {
	if known, ok := r.known.Load(dir); ok {
		return known.(ruled), nil
	}
	rules, ignored, err := r.above(dir)
	if err != nil {
		return ruled{}, err
	}
	inside, err := r.enter(rules, dir, func(string) bool { return true })
	if err != nil {
		return ruled{}, err
	}
	known, _ := r.known.LoadOrStore(dir, ruled{inside, ignored})
	return known.(ruled), nil
}

// maxIgnore is the largest ignore file in bytes that is read.
const maxIgnore = 16 << 20

// enter adds the ignore files of p. has tells which of them p may have: a scan knows the
// names and saves opening files that are not there. An empty file is left out like one
// that is absent, so that both give the same rules.
func (r *Reader) enter(above *ignore.Rules, p repopath.Path, has func(name string) bool) (*ignore.Rules, error) {
	var files [][]byte
	if p != repopath.Root && has(".git") {
		b, err := r.nested(p)
		if err != nil {
			return nil, err
		}
		if len(b) > 0 {
			files = append(files, b)
		}
	}
	for _, name := range ignoreFiles {
		if !has(name) {
			continue
		}
		b, err := atomicfile.Read(filepath.Join(r.work.OS(p), name), maxIgnore)
		if err != nil && !worktree.Gone(err) {
			return nil, err
		}
		if len(b) > 0 {
			files = append(files, b)
		}
	}
	if p == repopath.Root {
		return above.Enter("", files), nil
	}
	return above.Enter(p.Base(), files), nil
}

// nested returns the rules that a repository inside this one, a submodule for one, keeps beside
// its files: what it ignores is ignored here. Nothing is returned for what is no repository.
func (r *Reader) nested(p repopath.Path) ([]byte, error) {
	dir := filepath.Join(r.work.OS(p), ".git")
	link, err := atomicfile.Read(dir, maxIgnore)
	if err == nil {
		at, ok := strings.CutPrefix(strings.TrimSpace(string(link)), "gitdir: ")
		if !ok {
			return nil, nil
		}
		if dir = filepath.FromSlash(at); !filepath.IsAbs(dir) {
			dir = filepath.Join(r.work.OS(p), dir)
		}
	}
	b, err := atomicfile.Read(filepath.Join(dir, "info", "exclude"), maxIgnore)
	if worktree.Gone(err) {
		return nil, nil
	}
	return b, err
}

// Unignored returns the outputs that git does not ignore though pipe keeps their bytes:
// sooner or later a git add would take them. An output that is not here is judged by
// what pipe.yaml says of it.
func (r *Reader) Unignored(p *spec.Project) (outs []string, err error) {
	for i := range p.Stages {
		for _, o := range p.Stages[i].Outs {
			if o.NoCache {
				continue
			}
			info, err := os.Lstat(r.work.OS(o.Path))
			ignored, ierr := r.Ignored(o.Path, o.Dir || err == nil && info.IsDir())
			if ierr != nil {
				return nil, ierr
			}
			if !ignored {
				outs = append(outs, string(o.Path))
			}
		}
	}
	return outs, nil
}
