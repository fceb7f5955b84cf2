package source

import (
	"cmp"
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Look reports whether the files at the path of a source are those of a commit, and all of them.
// No git runs for that.
// It fails with diag.Policy when pipe has put that commit there and somebody has changed a file.
func (k *Keeper) Look(ctx context.Context, s spec.Source, commit string) (State, bool, error) {
	was, have := k.read(s)
	if was.Commit != commit || was.Toward != "" {
		return State{}, false, nil
	}
	here, err := k.look(ctx, s, have)
	if err != nil {
		return State{}, false, k.about(s, err)
	}
	if wrong := k.differing(here, have); len(wrong) > 0 {
		return State{}, false, edited(s, commit, wrong)
	}
	return State{commit, have, was.Omitted}, len(here.Entries) == len(have.Entries) && k.isDir(s), nil
}

// Put makes the files at the path of a source be those of a commit.
//
// It fails with diag.Policy, and has changed nothing, when a file there is neither what pipe has
// put there nor what it would put. After a kill some files may be the new ones; the next call
// knows them, and goes on.
func (k *Keeper) Put(ctx context.Context, s spec.Source, commit string) (State, error) {
	was, have := k.read(s)
	if was.Commit == "" && was.Toward == "" {
		if err := k.inTheWay(s); err != nil {
			return State{}, err
		}
	}
	p := &put{Keeper: k, s: s, repo: k.repo(s, len(commit)), was: was, have: have, commit: commit}
	st, err := p.run(ctx)
	return st, k.about(s, err)
}

// isDir reports whether the path of a source is a directory: a commit may have no files.
func (k *Keeper) isDir(s spec.Source) bool {
	kind, err := k.Work.Kind(s.Path)
	return err == nil && kind == statindex.IsDir
}

// differing returns the paths at which something else lies than in a tree. What is absent does not
// differ: nothing of it can be lost.
func (k *Keeper) differing(here, want *object.Tree) (wrong []repopath.Path) {
	for _, e := range here.Entries {
		if w, ok := want.Find(e.Path); !ok || !k.same(e, w) {
			wrong = append(wrong, e.Path)
		}
	}
	return wrong
}

// put is one change of what lies at the path of a source.
type put struct {
	*Keeper
	s      spec.Source
	repo   *gitlog.Bare
	was    record
	have   *object.Tree // what was put there
	commit string
}

// commitTree is a commit's files, of which some digests are not known yet.
type commitTree struct {
	tree    *object.Tree
	blobs   map[repopath.Path]gitlog.File
	omitted []repopath.Path
}

// run brings the commit, compares, and only then writes.
func (p *put) run(ctx context.Context) (State, error) {
	want, err := p.bring(ctx)
	if err != nil {
		return State{}, err
	}
	toward := &commitTree{tree: &object.Tree{}}
	if p.was.Toward != "" && p.was.Toward != p.commit && p.repo.Has(ctx, p.was.Toward) {
		if toward, err = p.list(ctx, p.was.Toward); err != nil {
			return State{}, err
		}
	}
	here, err := p.look(ctx, p.s, p.have, want.tree, toward.tree)
	if err != nil {
		return State{}, err
	}
	if err := p.claim(ctx, here, want, toward); err != nil {
		return State{}, err
	}
	// From here on a kill leaves files of both commits, and the record says so.
	next := p.was
	next.Toward = p.commit
	if err := p.write(next, nil); err != nil {
		return State{}, err
	}
	if err := p.remove(here, want.tree, p.have, toward.tree); err != nil {
		return State{}, err
	}
	if err := p.fill(ctx, here, want); err != nil {
		return State{}, err
	}
	err = p.write(record{Schema: 1, Path: p.s.Path, Commit: p.commit, Omitted: want.omitted}, want.tree)
	return State{p.commit, want.tree, want.omitted}, err
}

// bring sees to it that the commit is in the repository, and lists it. A repository that is damaged
// is fetched anew, once.
func (p *put) bring(ctx context.Context) (*commitTree, error) {
	for again := false; ; again = true {
		if !p.repo.Has(ctx, p.commit) {
			if err := p.fetch(ctx); err != nil {
				return nil, err
			}
		}
		t, err := p.list(ctx, p.commit)
		if err == nil || again || ctx.Err() != nil || diag.Is(err, diag.Policy) {
			return t, err
		}
		p.forget()
	}
}

func (p *put) fetch(ctx context.Context) error {
	if err := p.Work.Prepare(); err != nil {
		return err
	}
	if err := p.repo.Tidy(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.forget()
		if err := p.init(ctx); err != nil {
			return err
		}
	}
	return p.repo.Fetch(ctx, p.URL(p.s), p.commit)
}

// init makes the repository among the temporary files, and moves it to its place when it is whole.
func (p *put) init(ctx context.Context) error {
	in, err := p.Work.MakeOwn(own)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	tmp, err := p.Work.Temp(worktree.Tmp, "source-")
	if err != nil {
		return err
	}
	defer tmp.Discard()
	made := gitlog.OpenBare(filepath.Join(tmp.Name(), "repo"), gitlog.BareOptions{Env: p.Env})
	if err := made.Init(ctx, len(p.commit)); err != nil {
		return err
	}
	return tmp.Move("repo", in, p.repo.Name())
}

// forget removes what was fetched. What cannot be removed is seen by the next fetch.
func (p *put) forget() {
	if in, err := p.Work.Own(own); err == nil {
		p.Work.Discard(in, p.repo.Name())
		_ = in.Close()
	}
}

// list reads a commit's tree. Digests of files that lie there already are known; those of symlinks
// are read, as they are needed to see where they lead.
func (p *put) list(ctx context.Context, commit string) (*commitTree, error) {
	files, err := p.repo.Files(ctx, commit)
	if err != nil {
		return nil, err
	}
	c := &commitTree{tree: &object.Tree{}, blobs: map[repopath.Path]gitlog.File{}}
	old := map[gitlog.File]bool{}
	if p.was.Commit != "" && p.repo.Has(ctx, p.was.Commit) {
		all, err := p.repo.Files(ctx, p.was.Commit)
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			old[f] = true
		}
	}
	var links []gitlog.File
	for _, f := range files {
		at, err := repopath.ParseEntry(f.Path)
		if err != nil {
			return nil, diag.New(diag.Policy, "commit %.12s has a file that pipe does not write: %w", commit, err)
		}
		switch e := (object.Entry{Kind: object.File, Path: at}); f.Mode {
		case "160000":
			c.omitted = append(c.omitted, at)
		case "120000":
			links = append(links, f)
		default:
			if f.Mode == "100755" {
				e.Kind = object.Executable
			}
			if known, ok := p.have.Find(at); ok && old[f] {
				e = known
			}
			c.add(e, f)
		}
	}
	err = p.repo.Blobs(ctx, links, func(f gitlog.File, _ int64, r io.Reader) error {
		b, err := io.ReadAll(r)
		link := object.Link(string(b))
		link.Path = repopath.Path(f.Path)
		c.add(link, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.tree.Sort()
	return c, p.check(c.tree, commit)
}

func (c *commitTree) add(e object.Entry, f gitlog.File) {
	c.tree.Entries = append(c.tree.Entries, e)
	c.blobs[e.Path] = f
}

// at returns the entry of a path, to be filled in; nil: the commit has none.
func (c *commitTree) at(p repopath.Path) *object.Entry {
	i, ok := slices.BinarySearchFunc(c.tree.Entries, p, func(e object.Entry, p repopath.Path) int { return strings.Compare(string(e.Path), string(p)) })
	if !ok {
		return nil
	}
	return &c.tree.Entries[i]
}

// check refuses a commit that cannot be put on a disk, or not on this one.
func (p *put) check(t *object.Tree, commit string) error {
	tmp, err := p.Work.Temp(worktree.Tmp, "source-")
	if err != nil {
		return err
	}
	defer tmp.Discard()
	if err := p.Work.CheckTree(tmp.Dir, t); err != nil {
		return diag.New(diag.Policy, "commit %.12s cannot be checked out: %w", commit, err)
	}
	return nil
}

// claim refuses files that are neither what was put there nor what either commit has.
func (p *put) claim(ctx context.Context, here *object.Tree, commits ...*commitTree) error {
	foreign := p.differing(here, p.have)
	for _, c := range commits {
		if err := p.hash(ctx, c, foreign); err != nil {
			return err
		}
		foreign = slices.DeleteFunc(foreign, func(at repopath.Path) bool {
			e, _ := here.Find(at)
			w := c.at(at)
			return w != nil && p.same(e, *w)
		})
	}
	if len(foreign) == 0 {
		return nil
	}
	return edited(p.s, cmp.Or(p.was.Commit, p.commit), foreign)
}

// hash finds the digests of some of a commit's files.
func (p *put) hash(ctx context.Context, c *commitTree, paths []repopath.Path) error {
	var blobs []gitlog.File
	for _, at := range paths {
		if e := c.at(at); e != nil && e.Digest.IsZero() {
			blobs = append(blobs, c.blobs[at])
		}
	}
	buf := make([]byte, bufSize)
	return p.repo.Blobs(ctx, blobs, func(f gitlog.File, size int64, r io.Reader) (err error) {
		e := c.at(repopath.Path(f.Path))
		e.Digest, e.Size, err = digest.NewHasher().Copy(ctx, nil, r, buf)
		return err
	})
}
