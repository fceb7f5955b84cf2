package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// CommitOptions say how LockCommit commits.
type CommitOptions struct {
	Message  string // empty: a default one
	Unpushed bool   // do not ask whether the remote has what the lock names
}

// Committed is what LockCommit did.
type Committed struct {
	Commit  string `json:"commit"`  // the commit's hash
	Changed bool   `json:"changed"` // false: HEAD has this lock already
}

// LockCommit commits pipe.lock alone to the current branch, and leaves the index and other
// changes as they are. What is committed is the lock as pipe writes it, without blocks that do
// not count. A lock that names what the remote does not have is refused: nobody else could
// get it.
func (p *Project) LockCommit(ctx context.Context, opt CommitOptions) (c *Committed, err error) {
	if err := p.needGit(); err != nil {
		return nil, err
	}
	h, err := p.hold(ctx, "lock commit")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	lock, err := p.lockToWrite()
	if err != nil {
		return nil, err
	}
	if !opt.Unpushed {
		if err := p.mustBePushed(ctx, lock); err != nil {
			e := diag.All(err)[0]
			return nil, e.Hinted("%s, or commit without this check: pipe lock commit --unpushed", e.Hint)
		}
	}
	message := opt.Message
	if message == "" {
		message = fmt.Sprintf("Update %s", lockfile.FileName)
	}
	if head, err := p.repo.Head(ctx); err == nil && head.Branch == "" {
		p.note("HEAD is detached: keep the commit with git branch NAME")
	}
	hash, changed, err := p.repo.CommitFile(ctx, p.lockAt, lock.Encode(), message)
	return &Committed{Commit: hash, Changed: changed}, err
}

// lock reads pipe.lock; one that is not there is empty. Blocks that a merge damaged are named
// once in the life of a Project.
func (p *Project) lock() (*lockfile.File, error) {
	data, err := atomicfile.Read(p.path(lockfile.FileName), lockfile.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return &lockfile.File{}, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := lockfile.Parse(lockfile.FileName, data)
	if err == nil && !p.said {
		p.said = true
		for _, a := range l.Absent {
			p.note(fmt.Sprintf("%s:%d: %s", lockfile.FileName, a.Line, a))
		}
	}
	return l, err
}

// lockToWrite reads pipe.lock for a verb that writes it, and locks no sources but those in but. It refuses a
// lock in which the commit of another one cannot be read: what is written would have no block of it, as if
// it was never locked, and the next run would take a commit that nobody chose.
func (p *Project) lockToWrite(but ...spec.Source) (*lockfile.File, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	return lock, p.keepsSources(lock, but...)
}

// keepsSources refuses to write a lock in which the commit of a source, but for those in but, cannot be read.
func (p *Project) keepsSources(lock *lockfile.File, but ...spec.Source) error {
	for _, s := range p.spec.Sources {
		if slices.ContainsFunc(but, func(b spec.Source) bool { return b.Path == s.Path }) {
			continue
		}
		if _, err := p.lockedAt(lock, s); err != nil {
			return err
		}
	}
	return nil
}

// saveLock replaces pipe.lock, whole or not at all, unless it is the same. An unchanged file
// keeps its time, so that nothing that watches it is woken.
func (p *Project) saveLock(l *lockfile.File) error {
	data := l.Encode()
	if old, err := atomicfile.Read(p.path(lockfile.FileName), lockfile.MaxSize); err == nil && string(old) == string(data) {
		return nil
	}
	if err := p.write(lockfile.FileName, data); err != nil {
		return err
	}
	p.remember()
	return nil
}
