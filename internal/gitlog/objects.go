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
// operation. It belongs to one goroutine. A pack file that was opened stays open until
// close.
type objects struct {
	stores []*filesystem.ObjectStorage
	dirs   []string // of the stores
	packs  string   // the names in them when the stores' packs were last looked through
}

// objects opens the store, which the caller closes. Packs are opened when an object
// is asked for.
func (r *Repo) objects() *objects {
	o := &objects{}
	o.add(filepath.Join(r.commonDir, "objects"), 5) // git's limit of alternates in a row
	o.packs = o.listPacks()
	return o
}

// add opens an object directory and its alternates. go-git's own reading of
// alternates gets relative ones wrong, and it does not leave its directory
// through a symlink.
func (o *objects) add(dir string, depth int) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	// go-git takes the directory above and appends the name "objects" itself.
	if depth == 0 || filepath.Base(dir) != "objects" {
		return
	}
	fs := osfs.New(filepath.Dir(dir))
	o.dirs = append(o.dirs, dir)
	o.stores = append(o.stores, filesystem.NewObjectStorageWithOptions(
		dotgit.New(fs), cache.NewObjectLRUDefault(), filesystem.Options{KeepDescriptors: true}))
	b, _ := readFile(filepath.Join(dir, "info", "alternates"))
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			o.add(under(dir, line), depth-1)
		}
	}
}

// close frees the descriptors of all stores.
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
		// A gc or fetch may have moved it into a new pack meanwhile. Only new names are a
		// reason to look again: in an incomplete clone many objects are absent, and each
		// would cost a scan of all packs.
		packs := o.listPacks()
		if packs == o.packs {
			return nil, 0, plumbing.ErrObjectNotFound
		}
		o.packs = packs
		for _, s := range o.stores {
			s.Reindex()
		}
	}
}

// listPacks returns the names of all packs. It is called before they are looked
// through, so that one which appears meanwhile is a new name the next time.
func (o *objects) listPacks() string {
	var names strings.Builder
	for _, dir := range o.dirs {
		packs, _ := os.ReadDir(filepath.Join(dir, "pack")) // without it there are none
		for _, p := range packs {
			names.WriteString(p.Name() + "\n")
		}
	}
	return names.String()
}

// content reads an object whole. One that is shorter than its header says is an error.
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

// typed is read for an object whose type is known from the object that names it:
// another type is damage.
func (o *objects) typed(h plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	b, t, err := o.read(h)
	if err == nil && t != want {
		err = diag.New(diag.Integrity, "git object %s is a %s, not a %s", h, t, want).Hinted("git fsck")
	}
	return b, err
}

// commit reads a commit; tags that name it are peeled, also tags of tags. What is
// neither fails with errNotCommit: a tag may name a tree or a file, as in git itself,
// and then it is in no history. A tag object begins with "object " and 40
// hexadecimal digits, so its first 47 bytes are enough.
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

// head returns the first n bytes, or all if there are fewer.
func head(b []byte, n int) string { return string(b[:min(n, len(b))]) }

// commit is what a walk needs of a commit; the rest stays as bytes.
type commit struct {
	hash    plumbing.Hash
	tree    plumbing.Hash
	parents []plumbing.Hash
	when    int64 // of the committer, seconds
	raw     []byte
}

// parseCommit reads the header of a commit object: "key value" lines that git writes
// in the order tree, parents, author, committer. It stops there. A signature or an
// encoding may follow, and no walk needs them. See describe for the rest.
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

// parseIdent splits "Name <email> 1700000000 +0100": seconds since 1970 and the
// zone as hours and minutes. It never fails, for old importers wrote odd lines; what
// cannot be read counts as 0.
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

// isFile reports whether the entry is a regular file: not a symlink (120000) or a
// submodule (160000). Early versions of git also wrote 100664.
func (e treeEntry) isFile() bool {
	return e.mode == "100644" || e.mode == "100755" || e.mode == "100664"
}

// isDir reports whether the entry is a directory; git writes its mode without a zero in front.
func (e treeEntry) isDir() bool { return e.mode == "40000" }

// findEntry looks a name up in a tree object's bytes, which are entries of the form
// "mode SP name NUL hash", the hash as 20 raw bytes: refs has refused sha256. It
// parses no entry that it passes; a walk does this for every distinct tree. A tree
// that ends in the middle of an entry has no more of them.
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

// explain tells the user what an absent object means, and how to get it: a partial
// clone must be filled, as more than the one is absent, and a shallow one be deepened.
// Other errors pass unchanged.
func (r *Repo) explain(hash string, err error) error {
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return err
	}
	partial := r.partial()
	if partial {
		err = ErrKeptBack
	}
	e := diag.New(diag.NotFound, "git object %s is not in this clone: %w", short(hash), err)
	switch {
	case partial:
		return e.Hinted("git fetch --refetch --no-filter")
	case r.Shallow():
		return e.Hinted("git fetch --unshallow")
	}
	return e.Hinted("git fetch --all")
}

// short returns a hash as messages show it.
func short(hash string) string { return hash[:min(12, len(hash))] }
