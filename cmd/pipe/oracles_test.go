//go:build !windows

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// lies returns what a store in a directory says and is not so: an object whose
// bytes are others, a tree whose files are not there, a record whose outs are
// not there. What names others is read first, so a store that still grows is no
// liar.
func lies(t *testing.T, root string) (found []string) {
	t.Helper()
	bytesOf := map[object.Ref]int{} // 0: not looked at yet, 1: right, 2: wrong or absent
	has := func(ref object.Ref) bool {
		if bytesOf[ref] == 0 {
			bytesOf[ref] = 2
			b, err := os.ReadFile(filepath.Join(root, store.Path(ref)))
			if err == nil && digest.Of(b) == ref.Digest {
				bytesOf[ref] = 1
			}
		}
		return bytesOf[ref] == 1
	}
	each(t, filepath.Join(root, "runs"), func(name string, b []byte) {
		id, ok := store.RunAt("runs/k1/" + name[:2] + "/" + name)
		if !ok {
			t.Fatalf("%s is not the name of a record", name)
		}
		rec, err := object.ParseRecord(b, id)
		if err != nil {
			found = append(found, err.Error())
			return
		}
		for _, o := range rec.Outs {
			if !has(object.Of(o)) {
				found = append(found, fmt.Sprintf("the record of %s names %s", rec.Stage, object.Of(o)))
			}
		}
	})
	each(t, filepath.Join(root, "trees"), func(name string, b []byte) {
		tree, err := object.ParseTree(b)
		if err != nil {
			found = append(found, fmt.Sprintf("tree %s: %v", name, err))
			return
		}
		for _, e := range tree.Entries {
			if !has(object.Ref{Digest: e.Digest}) {
				found = append(found, fmt.Sprintf("tree %s names %s, %s", name, e.Digest, e.Path))
			}
		}
	})
	each(t, filepath.Join(root, "files"), func(name string, b []byte) {
		if d := digest.Of(b).Hex(); d != name {
			found = append(found, fmt.Sprintf("file %s has digest %s", name, d))
		}
	})
	return found
}

// each calls f for every object below dir, with its whole hash, first two digits
// and all. Names that begin with a dot are no objects' yet.
func each(t *testing.T, dir string, f func(name string, b []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name := d.Name()
		b, err := os.ReadFile(path)
		f(name, b)
		return err
	})
	must(t, err)
}

// content is every file below a path, by its relative name, with the digest of
// its bytes; a file itself is ".". Nothing there is nil.
type content map[string]string

func contentOf(t *testing.T, top string) content {
	t.Helper()
	c := content{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, rerr := filepath.Rel(top, path)
		c[filepath.ToSlash(rel)] = digest.Of(b).Hex()
		return errors.Join(err, rerr)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(t, err)
	return c
}

// locked returns the content of each out that pipe.lock names, as the cache has
// it. An object that the cache lacks fails the test.
func (p *place) locked(why string) map[string]content {
	p.t.Helper()
	lock, err := lockfile.Parse(lockfile.FileName, []byte(p.read(lockfile.FileName)))
	must(p.t, err)
	bytesOf := func(ref object.Ref, at string) []byte {
		b, err := os.ReadFile(p.path(".pipe", "cache", store.Path(ref)))
		if err != nil || digest.Of(b) != ref.Digest {
			p.t.Fatalf("%s: the recorded bytes of %s are lost: %v", why, at, err)
		}
		return b
	}
	all := map[string]content{}
	for _, s := range lock.Stages {
		for _, o := range s.Outs {
			at := string(o.Path)
			b := bytesOf(object.Of(o), at)
			all[at] = content{".": o.Digest.Hex()}
			if !o.Dir {
				continue
			}
			tree, err := object.ParseTree(b)
			must(p.t, err)
			all[at] = content{}
			for _, e := range tree.Entries {
				bytesOf(object.Ref{Digest: e.Digest}, at+"/"+string(e.Path))
				all[at][string(e.Path)] = e.Digest.Hex()
			}
		}
	}
	return all
}

// wantCached checks that the cache has the bytes of all files.
func (p *place) wantCached(why, what string, files content) {
	p.t.Helper()
	for name, d := range files {
		if _, err := os.Stat(p.path(".pipe", "cache", "files", "blake3", d[:2], d)); err != nil {
			p.t.Fatalf("%s: %s are lost, %s: %v", why, what, name, err)
		}
	}
}

// wantOuts checks that the workspace has exactly what pipe.lock names.
func (p *place) wantOuts(why string) {
	p.t.Helper()
	for at, want := range p.locked(why) {
		if got := contentOf(p.t, p.path(at)); !maps.Equal(got, want) {
			p.t.Fatalf("%s: %s is not what pipe.lock names: %d files, not %d", why, at, len(got), len(want))
		}
	}
}

// wantNoRest checks that nothing of an old run lies around.
func (p *place) wantNoRest(why string) {
	p.t.Helper()
	for _, dir := range []string{"aside", "tmp"} {
		rest, err := filepath.Glob(p.path(".pipe", dir, "*"))
		must(p.t, err)
		if len(rest) > 0 {
			p.t.Fatalf("%s: left behind: %s", why, rest)
		}
	}
}
