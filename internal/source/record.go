package source

import (
	"cmp"
	"encoding/json"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// record is what pipe remembers of a source's path, in NAME.json. The manifest of the files that
// lie there is beside it, in NAME.tree. What cannot be read, or does not fit, counts as no record:
// then the files themselves are compared with the commit.
type record struct {
	Schema  int             `json:"schema"`
	Path    repopath.Path   `json:"path"`
	Commit  string          `json:"commit,omitempty"`  // whose files lie there
	Toward  string          `json:"toward,omitempty"`  // that was about to be put there; set: some files may be its own
	Tree    digest.Digest   `json:"tree"`              // of the manifest
	Omitted []repopath.Path `json:"omitted,omitempty"` // submodules of Commit
}

func nameOf(at repopath.Path) string { return digest.Of([]byte(at)).Hex()[:32] }

// read returns the record of a source, and the manifest.
func (k *Keeper) read(s spec.Source) (record, *object.Tree) {
	none := record{Schema: 1, Path: s.Path}
	in, err := k.Work.Own(own)
	if err != nil {
		return none, &object.Tree{}
	}
	defer func() { _ = in.Close() }()
	files, r := atomicfile.Files{Root: in}, record{}
	b, err := files.Read(nameOf(s.Path)+".json", atomicfile.MaxNote)
	if err != nil || json.Unmarshal(b, &r) != nil || r.Schema != 1 || r.Path != s.Path || !isCommitOrNone(r.Commit) || !isCommitOrNone(r.Toward) {
		return none, &object.Tree{}
	}
	b, err = files.Read(nameOf(s.Path)+".tree", object.MaxTree)
	if err == nil && r.Commit != "" && digest.Of(b) == r.Tree {
		if t, err := object.ParseTree(b); err == nil {
			return r, t
		}
	}
	none.Toward = cmp.Or(r.Toward, r.Commit)
	return none, &object.Tree{}
}

func isCommitOrNone(s string) bool { return s == "" || lockfile.IsCommit(s) }

// write remembers a record. With a manifest, that comes first: between the two the old record does
// not fit it, and the files are compared with the commit that the record was moving toward.
func (k *Keeper) write(r record, t *object.Tree) error {
	if err := k.Work.Prepare(); err != nil {
		return err
	}
	in, err := k.Work.MakeOwn(own)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	files := atomicfile.Files{Root: in}
	if t != nil {
		b := t.Encode()
		r.Tree = digest.Of(b)
		if err := files.Write(nameOf(r.Path)+".tree", b, 0o666, ""); err != nil {
			return err
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return files.Write(nameOf(r.Path)+".json", b, 0o666, "")
}

// State returns what pipe has put at the path of a source, without looking at the files.
func (k *Keeper) State(s spec.Source) State {
	r, t := k.read(s)
	if _, err := k.Work.Kind(s.Path); r.Commit == "" || r.Toward != "" || worktree.Gone(err) {
		return State{}
	}
	return State{Commit: r.Commit, Tree: t, Omitted: r.Omitted}
}
