package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// CheckOptions say which pipe.lock LockCheck reads. The zero value means the one in the work tree.
type CheckOptions struct {
	Rev    string // that of a commit, with the commit's pipe.yaml
	Staged bool   // that of git's index, with the pipe.yaml there
}

// Checked is what LockCheck found.
type Checked struct {
	Stages   int       `json:"stages"`   // blocks that count, of stages and inputs
	Sources  int       `json:"sources"`  // and of sources
	Problems []Problem `json:"problems"` // none: the lock is as pipe writes it
}

// LockCheck reports whether pipe.lock is as pipe would write it for pipe.yaml: no conflict markers, no
// broken block, one block for each build stage, and canonical bytes. It reads no input and asks no
// remote, so a block may still be of older inputs. Problems are an error of kind integrity, with the
// answer beside it.
func (p *Project) LockCheck(ctx context.Context, opt CheckOptions) (*Checked, error) {
	k := &lockCheck{p: p, r: &Checked{}}
	if err := k.read(ctx, opt); err != nil {
		return nil, err
	}
	lock, err := lockfile.Parse(k.prefix+lockfile.FileName, k.data)
	if err != nil {
		return nil, err
	}
	k.r.Stages, k.r.Sources = len(lock.Stages), len(lock.Sources)
	if k.data == nil {
		if k.wants() {
			k.say(0, "pipe.lock does not exist", "pipe repro")
		}
		return k.r, k.told()
	}
	for _, a := range lock.Absent {
		k.say(a.Line, a.String(), "pipe lock resolve")
	}
	if same := isCanonical(lock, k.data); len(lock.Absent) == 0 && !same {
		k.say(k.firstOther(lock), "not as pipe writes it", "pipe lock resolve")
	}
	k.stages(lock)
	k.sources(lock)
	return k.r, k.told()
}

// lockCheck is one call of LockCheck.
type lockCheck struct {
	p      *Project
	r      *Checked
	spec   *spec.Project
	prefix string // REV: where the files are those of a commit
	data   []byte // of pipe.lock; nil: there is none
	found  diag.List
}

// read reads both files.
func (k *lockCheck) read(ctx context.Context, opt CheckOptions) (err error) {
	var file func(at repopath.Path) ([]byte, error)
	switch {
	case opt.Rev == "" && !opt.Staged:
		k.spec = k.p.spec
		k.data, err = atomicfile.Read(k.p.path(lockfile.FileName), lockfile.MaxSize)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	case opt.Rev != "" && opt.Staged:
		return diag.New(diag.Usage, "--rev and --staged exclude each other").Hinted("pipe lock check --staged")
	}
	if err := k.p.needGit(); err != nil {
		return err
	}
	if opt.Staged {
		k.prefix = ":"
		file = func(at repopath.Path) ([]byte, error) { return k.p.repo.InIndex(ctx, at) }
	} else {
		commit, err := k.p.repo.Resolve(ctx, opt.Rev)
		if err != nil {
			return err
		}
		k.prefix = opt.Rev + ":"
		file = func(at repopath.Path) ([]byte, error) { return k.p.repo.FileAt(ctx, commit, at) }
	}
	yaml, err := file(k.p.yamlAt())
	if errors.Is(err, gitlog.ErrNoFile) {
		return diag.New(diag.NotFound, "does not exist").At(k.prefix + spec.FileName).Hinted("pipe lock check checks the files in the work tree")
	}
	if err != nil {
		return err
	}
	beside := func(at repopath.Path) ([]byte, error) {
		data, err := file(k.p.at().Child(string(at)))
		return data, absent(err)
	}
	if k.spec, err = k.p.parsePast(yaml, beside); err != nil {
		return err
	}
	k.data, err = file(k.p.lockAt)
	var e *diag.Error
	switch {
	case errors.Is(err, gitlog.ErrNoFile):
		return nil
	case errors.As(err, &e) && e.Kind == diag.Integrity:
		return e.Hinted("pipe lock resolve")
	}
	return err
}

// say notes a problem at a line of pipe.lock; 0: with all of it.
func (k *lockCheck) say(line int, what, next string) {
	place := lockfile.FileName
	if line > 0 {
		place = fmt.Sprintf("%s:%d", place, line)
	}
	k.at(place, what, next)
}

func (k *lockCheck) at(place, what, next string) {
	k.found = append(k.found, diag.New(diag.Integrity, "%s", what).At(k.prefix+place).Hinted("%s", next))
}

// told puts what was found into the answer, and returns it as an error.
func (k *lockCheck) told() error {
	err := k.found.OrNil()
	k.r.Problems = Describe(err)
	return err
}

// wants reports whether pipe.yaml has anything that has a block.
func (k *lockCheck) wants() bool {
	return len(k.spec.Sources) > 0 || slices.ContainsFunc(k.spec.Stages, func(s spec.Stage) bool { return listed(&s) })
}

// listed reports whether a stage that was brought up to date is in the lock. A frozen one may have
// been frozen before it ever ran, and one with a condition may never have met it.
func listed(s *spec.Stage) bool { return !s.Deploy && !s.Frozen && s.When == nil }

// stages compares the blocks with the stages of pipe.yaml.
func (k *lockCheck) stages(lock *lockfile.File) {
	for i := range lock.Stages {
		l := &lock.Stages[i]
		switch s := k.spec.Stage(l.Name); {
		case s == nil || s.Deploy:
			k.say(k.lineOf(l.Name), "pipe.yaml has no build stage "+l.Name, "pipe repro")
		case !fits(k.spec, l):
			k.say(k.lineOf(l.Name), l.Name+" has other outputs in pipe.yaml", "pipe repro "+l.Name)
		}
	}
	maybe := k.conditional()
	for i := range k.spec.Stages {
		s := &k.spec.Stages[i]
		absent := slices.ContainsFunc(lock.Absent, func(a lockfile.Absent) bool { return a.Stage == s.Name })
		if listed(s) && !maybe[i] && lock.Stage(s.Name) == nil && !absent {
			k.at(s.Place, "pipe.lock does not list "+s.Name, "pipe repro "+s.Name)
		}
	}
}

// conditional returns the stages that come after one with a condition: what that one makes may be missing.
func (k *lockCheck) conditional() []bool {
	var from []int
	for i := range k.spec.Stages {
		if k.spec.Stages[i].When != nil {
			from = append(from, i)
		}
	}
	g := k.spec.Edges()
	return g.Reach(from, g.Down)
}

// sources compares the locked commits with the sources of pipe.yaml.
func (k *lockCheck) sources(lock *lockfile.File) {
	for i := range lock.Sources {
		l := &lock.Sources[i]
		at := slices.IndexFunc(k.spec.Sources, func(s spec.Source) bool { return s.Path == l.Path })
		switch {
		case at < 0:
			k.say(k.lineOf(l.Name()), fmt.Sprintf("pipe.yaml has no source %s", l.Path), "pipe repro")
		case k.spec.Sources[at].Git != l.Git || k.spec.Sources[at].Ref != l.Ref:
			k.say(k.lineOf(l.Name()), fmt.Sprintf("source %s has another git or ref in pipe.yaml", l.Path), fmt.Sprintf("pipe update %s", l.Path))
		}
	}
	for _, s := range k.spec.Sources {
		if lock.Source(s.Path) == nil && lock.AbsentSource(s.Path) == nil {
			k.at(s.Place, fmt.Sprintf("pipe.lock does not list source %s", s.Path), fmt.Sprintf("pipe update %s", s.Path))
		}
	}
}

// lineOf returns the number of the line with which a block begins.
func (k *lockCheck) lineOf(name string) int {
	n := 0
	for line := range strings.Lines(string(k.data)) {
		if n++; strings.TrimRight(line, "\r\n") == "  # begin "+name {
			return n
		}
	}
	return 0
}

// firstOther returns the number of the first line that pipe would write in another way.
func (k *lockCheck) firstOther(lock *lockfile.File) int {
	want := strings.Split(string(lock.Encode()), "\n")
	for i, line := range strings.Split(strings.ReplaceAll(string(k.data), "\r\n", "\n"), "\n") {
		if i >= len(want) || line != want[i] {
			return i + 1
		}
	}
	return len(want)
}
