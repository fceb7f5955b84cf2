package pipe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/worktree"
)

// used remembers in .pipe/remotes which remotes this clone has used, one key a line. That
// a remote is not in it costs nothing but the warning when it has vanished, so what
// cannot be read or written is no error, and of two writers at once one may be lost.
type used struct{ p *Project }

func (u used) path() string { return filepath.Join(u.p.root, worktree.Dir, "remotes") }

func (u used) keys() []string {
	b, err := atomicfile.Read(u.path(), atomicfile.MaxNote)
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// Used implements remote.Memory.
func (u used) Used(key string) bool { return slices.Contains(u.keys(), key) }

// Use implements remote.Memory. A command that only asks makes no .pipe.
func (u used) Use(key string) {
	if info, err := os.Lstat(filepath.Dir(u.path())); err == nil && info.IsDir() {
		_ = u.write(append(u.keys(), key))
	}
}

func (u used) write(keys []string) error {
	return atomicfile.Write(u.path(), []byte(strings.Join(keys, "\n")+"\n"), 0o666, "")
}

// Forget makes the remote that the options name one that this clone has never used: where
// it has vanished on purpose, the next write may begin it anew. It returns the remote's
// URL, and false when there was nothing to forget.
func (p *Project) Forget(ctx context.Context) (url string, forgotten bool, err error) {
	r, err := p.needRemote(ctx)
	if err != nil {
		return "", false, err
	}
	u, key := used{p}, remote.Key(r)
	keys := u.keys()
	if !slices.Contains(keys, key) {
		return r.URL(), false, nil
	}
	return r.URL(), true, u.write(slices.DeleteFunc(keys, func(k string) bool { return k == key }))
}
