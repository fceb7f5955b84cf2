package dvc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/ignore"
)

// Keep copies bytes into a cache of DVC's and returns their md5, and whether the cache did not have them. A reader that finds
// wrong bytes at its end keeps them from getting a name.
func Keep(ctx context.Context, cache string, r io.Reader) (md5 string, fresh bool, err error) {
	return keep(ctx, cache, r, false)
}

// KeepList puts the list of a directory into a cache of DVC's.
func KeepList(ctx context.Context, cache string, all []Entry) error {
	_, _, err := keep(ctx, cache, bytes.NewReader(encodeList(all)), true)
	return err
}

func keep(ctx context.Context, cache string, r io.Reader, list bool) (md5 string, fresh bool, err error) {
	dir := filepath.Join(cache, "files", "md5")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", false, err
	}
	f, err := os.CreateTemp(dir, ".pipe-*")
	if err != nil {
		return "", false, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has another name, or is of no use
	h, err := Hash(ctx, r, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", false, err
	}
	sum := Sum{MD5: h.MD5, Dir: list}
	fresh, err = settle(ctx, f.Name(), filepath.Join(cache, filepath.FromSlash(names(sum)[0])), h)
	return h.MD5, fresh, err
}

// settle gives a file its name in the cache, unless the same bytes have it. DVC takes a file that nobody may write for one that was
// checked, so what it calls so is checked here.
func settle(ctx context.Context, file, name string, h Hashed) (fresh bool, err error) {
	if old, err := hashFile(ctx, name); err == nil && old.MD5 == h.MD5 {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return false, err
	}
	if err := os.Chmod(file, 0o444); err != nil {
		return false, err
	}
	return true, os.Rename(file, name)
}

// SyncNames makes the names in a cache of DVC's survive a power cut, as Keep does with the bytes: what is written next
// names them. It is called once for all, which are in few directories.
func SyncNames(fs atomicfile.Files, cache string) error {
	dir := filepath.Join(cache, "files", "md5")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing was kept
	}
	if err != nil {
		return err
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	for _, d := range append(dirs, dir, filepath.Dir(dir), cache) {
		// Of a cache that several people share, others may have made directories for themselves.
		if err := fs.SyncDir(d); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	return nil
}

// Ignore sets what the .dvcignore of a directory will say, which is not there yet.
func (f *Files) Ignore(dir string, text []byte) {
	if f.coming == nil {
		f.coming = map[string][]byte{}
	}
	f.coming[filepath.Join(f.root, filepath.FromSlash(dir))] = text
}

// Seen returns those files of a directory that DVC sees: what .dvcignore files name it does not.
func (f *Files) Seen(at string, all []Entry) []Entry {
	known := map[string]*ignore.Rules{}
	return slices.DeleteFunc(slices.Clone(all), func(e Entry) bool {
		full := path.Join(at, e.Path)
		for up := full; up != "."; up = path.Dir(up) {
			dir := path.Dir(up)
			if known[dir] == nil {
				rules, err := f.inside(dir)
				if err != nil {
					return false // what cannot be read is found out when it is hashed
				}
				known[dir] = rules
			}
			if known[dir].Match(path.Base(up), up != full) {
				return true
			}
		}
		return false
	})
}

// inside returns the rules for the entries of a directory.
func (f *Files) inside(dir string) (*ignore.Rules, error) {
	rules, err := f.above(dir)
	if err != nil {
		return nil, err
	}
	b, err := f.ignoreFile(filepath.Join(f.root, filepath.FromSlash(dir)))
	return rules.Enter("", b), err
}

// ignoreFile returns the patterns of a directory, present or coming.
func (f *Files) ignoreFile(dir string) ([][]byte, error) {
	if text, ok := f.coming[dir]; ok {
		return [][]byte{text}, nil
	}
	return dvcIgnore(dir)
}
