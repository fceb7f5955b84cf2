package pipe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/worktree"
)

// used remembers in a file of .pipe what this clone has used, one key a line. That something is
// not in it costs little, so of two writers at once one may be lost, and what cannot be read is
// left as it is.
type used struct {
	p    *Project
	name string
}

// The files in pipe's own directory: remotes, which are missed when they vanish, and commands
// whose output is an input, which may run again when somebody only looks.
const (
	usedRemotes = "remotes"
	usedTools   = "tools"
)

// change gives f the keys, and writes what it returns, unless that is nil. Where there is no
// .pipe there are no keys, and none is made: a command that only asks makes no directory.
func (u used) change(f func(keys []string) []string) (err error) {
	own, err := u.p.work.Own("")
	if worktree.Gone(err) {
		f(nil)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	files := atomicfile.Files{Root: own}
	b, err := files.Read(u.name, atomicfile.MaxNote)
	if err != nil && !worktree.Gone(err) {
		return err
	}
	keys := f(strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' }))
	if keys == nil {
		return nil
	}
	return files.Write(u.name, []byte(strings.Join(keys, "\n")+"\n"), 0o666, "")
}

// Used implements remote.Memory.
func (u used) Used(key string) (is bool) {
	_ = u.change(func(keys []string) []string { is = slices.Contains(keys, key); return nil })
	return is
}

// Use implements remote.Memory.
func (u used) Use(key string) {
	_ = u.change(func(keys []string) []string {
		if slices.Contains(keys, key) {
			return nil
		}
		return append(keys, key)
	})
}

// Forget makes the remote that the options name one that this clone has never used: where
// it has vanished on purpose, the next write may begin it anew. It returns the remote's
// URL, and false when there was nothing to forget.
func (p *Project) Forget(ctx context.Context) (url string, forgotten bool, err error) {
	r, err := p.needRemote(ctx)
	if err != nil {
		return "", false, err
	}
	key := remote.Key(r)
	err = used{p, usedRemotes}.change(func(keys []string) []string {
		if forgotten = slices.Contains(keys, key); !forgotten {
			return nil
		}
		return slices.DeleteFunc(keys, func(k string) bool { return k == key })
	})
	return r.URL(), forgotten && err == nil, err
}
