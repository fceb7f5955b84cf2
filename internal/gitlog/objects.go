package gitlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/pipe-build/pipe/internal/diag"
)

// objects is the repository's object store and its alternates, open for one
// operation. It belongs to one goroutine.
type objects struct {
	stores    []*filesystem.ObjectStorage
	reindexed bool
}

func (r *Repo) objects() *objects {
	o := &objects{}
	o.add(filepath.Join(r.commonDir, "objects"), 5) // git's limit of alternates in a row
	return o
}

// add opens an object directory and its alternates. go-git's own reading of
// alternates gets relative ones wrong, and it does not leave its directory
// through a symlink.
func (o *objects) add(dir string, depth int) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if depth == 0 || filepath.Base(dir) != "objects" { // the only name that go-git knows
		return
	}
	fs := osfs.New(filepath.Dir(dir))
	o.stores = append(o.stores, filesystem.NewObjectStorageWithOptions(
		dotgit.New(fs), cache.NewObjectLRUDefault(), filesystem.Options{KeepDescriptors: true}))
	b, _ := os.ReadFile(filepath.Join(dir, "info", "alternates"))
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			o.add(under(dir, line), depth-1)
		}
	}
}

func (o *objects) close() {
	for _, s := range o.stores {
		_ = s.Close() // only read from
	}
}

// read returns an object's bytes and type, or plumbing.ErrObjectNotFound.
func (o *objects) read(h plumbing.Hash) ([]byte, plumbing.ObjectType, error) {
	for {
		for _, s := range o.stores {
			obj, err := s.EncodedObject(plumbing.AnyObject, h)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue
			}
			if err != nil {
				return nil, 0, fmt.Errorf("read git object %s: %w", h, err)
			}
			b, err := content(obj)
			return b, obj.Type(), err
		}
		if o.reindexed {
			return nil, 0, plumbing.ErrObjectNotFound
		}
		// A gc or fetch may have moved it into a new pack meanwhile.
		o.reindexed = true
		for _, s := range o.stores {
			s.Reindex()
		}
	}
}

func content(obj plumbing.EncodedObject) (b []byte, err error) {
	rd, err := obj.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	b = make([]byte, obj.Size())
	_, err = io.ReadFull(rd, b)
	return b, err
}

func (o *objects) typed(h plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	b, t, err := o.read(h)
	if err == nil && t != want {
		err = diag.New(diag.Integrity, "git object %s is a %s, not a %s", h, t, want).Hinted("git fsck")
	}
	return b, err
}

// commit reads a commit; tags that name it are peeled.
func (o *objects) commit(h plumbing.Hash) (commit, error) {
	for {
		b, t, err := o.read(h)
		if err != nil {
			return commit{}, err
		}
		target, isTag := strings.CutPrefix(head(b, 47), "object ")
		switch {
		case t == plumbing.CommitObject:
			return parseCommit(h, b)
		case t == plumbing.TagObject && isTag && plumbing.IsHash(target):
			h = plumbing.NewHash(target)
		default:
			return commit{}, fmt.Errorf("git object %s: %w", h, errNotCommit)
		}
	}
}

var errNotCommit = errors.New("not a commit")

func head(b []byte, n int) string { return string(b[:min(n, len(b))]) }

// commit is what a walk needs of a commit; the rest stays as bytes.
type commit struct {
	hash    plumbing.Hash
	tree    plumbing.Hash
	parents []plumbing.Hash
	when    int64 // of the committer, seconds
	raw     []byte
}

func parseCommit(h plumbing.Hash, b []byte) (commit, error) {
	c := commit{hash: h, raw: b}
	for len(b) > 0 && b[0] != '\n' {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		key, value, _ := bytes.Cut(line, []byte(" "))
		switch string(key) {
		case "tree":
			c.tree = plumbing.NewHash(string(value))
		case "parent":
			c.parents = append(c.parents, plumbing.NewHash(string(value)))
		case "committer":
			_, t := parseIdent(string(value))
			c.when = t.Unix()
			return c, nil
		}
		b = rest
	}
	if c.tree.IsZero() {
		return c, diag.New(diag.Integrity, "git object %s is not a complete commit", h).Hinted("git fsck")
	}
	return c, nil
}

// parseIdent splits "Name <email> 1700000000 +0100".
func parseIdent(s string) (who string, when time.Time) {
	i := strings.LastIndexByte(s, '>')
	if i < 0 {
		return s, time.Unix(0, 0).UTC()
	}
	stamp, zone, _ := strings.Cut(strings.TrimSpace(s[i+1:]), " ")
	sec, _ := strconv.ParseInt(stamp, 10, 64)
	z, _ := strconv.Atoi(zone)
	return s[:i+1], time.Unix(sec, 0).In(time.FixedZone("", (z/100*60+z%100)*60))
}

// treeEntry is one entry of a tree object.
type treeEntry struct {
	mode string
	name string
	hash plumbing.Hash
}

func (e treeEntry) isFile() bool {
	return e.mode == "100644" || e.mode == "100755" || e.mode == "100664"
}
func (e treeEntry) isDir() bool { return e.mode == "40000" }

// findEntry looks a name up in a tree object's bytes.
func findEntry(tree []byte, name string) (treeEntry, bool) {
	for len(tree) > 0 {
		sp := bytes.IndexByte(tree, ' ')
		nul := bytes.IndexByte(tree, 0)
		if sp < 0 || nul < sp || len(tree) < nul+21 {
			break
		}
		if string(tree[sp+1:nul]) == name {
			return treeEntry{string(tree[:sp]), name, plumbing.Hash(tree[nul+1 : nul+21])}, true
		}
		tree = tree[nul+21:]
	}
	return treeEntry{}, false
}

// explain tells the user what an absent object means.
func (r *Repo) explain(hash string, err error) error {
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return err
	}
	e := diag.New(diag.NotFound, "git object %s is not in this clone: %w", short(hash), err)
	switch {
	case r.partial():
		return e.Hinted("git cat-file -e %s", hash)
	case r.Shallow():
		return e.Hinted("git fetch --unshallow")
	}
	return e.Hinted("git fetch --all")
}

func short(hash string) string { return hash[:min(12, len(hash))] }
