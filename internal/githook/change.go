package githook

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
)

// Change is what has to be written into a hook's file.
type Change struct {
	Name string // of the hook
	path string
	text []byte // empty: the file is deleted
}

// Change returns what gives the hook in a directory its line, or with remove takes it out; nil:
// nothing has to be written.
func (h Hook) Change(dir string, bare, remove bool) (*Change, error) {
	path := filepath.Join(dir, h.Name)
	info, err := os.Lstat(path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return nil, err
	}
	switch {
	case absent && remove:
		return nil, nil
	case absent:
	case runtime.GOOS != "windows" && !bare && !remove && info.Mode().Perm()&0o111 == 0:
		return nil, diag.New(diag.Policy, "the hook is not executable, so git does not run it").At(path).Hinted("chmod +x it, or delete it; then pipe init hooks")
	}
	old, err := atomicfile.Read(path, atomicfile.MaxNote)
	if err != nil && !absent {
		return nil, err
	}
	text := h.remove(old)
	if !remove {
		if text, err = h.add(old, bare); err != nil {
			return nil, diag.All(err)[0].At(path)
		}
	}
	switch {
	case !absent && bytes.Equal(text, old):
		return nil, nil
	case !absent && info.Mode()&fs.ModeSymlink != 0:
		e := diag.New(diag.Policy, "the hook is a symlink, so pipe does not change it").At(path)
		if remove {
			return nil, e.Hinted("delete the line that names pipe init hooks from it")
		}
		return nil, e.Hinted("add this line to it: %s", h.Line)
	}
	return &Change{h.Name, path, text}, nil
}

// Write replaces or deletes the file. Its mode stays; a new one may be run.
func (c *Change) Write() error {
	if len(c.text) == 0 {
		return os.Remove(c.path)
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(c.path, c.text, 0o777, "")
}
