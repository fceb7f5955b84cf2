package gitlog

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Commit is what people want to know of a commit.
type Commit struct {
	Hash    string
	When    time.Time // of the committer, in its zone
	Author  string    // "Name <email>"
	Subject string    // the message's first line
}

// Version is one distinct content of a file in the history.
type Version struct {
	Blob string // git's hash of the content
	Last Commit // the newest commit that has it
	// Introduced are the commits that have it while none of their parents does,
	// newest first. It grows as the walk goes on and is whole when Versions has
	// returned nil. At the edge of an incomplete history a commit counts as one
	// without parents.
	Introduced []Commit
	// Data reads the content. It may be called only until Versions returns.
	Data func() ([]byte, error)
}

// Versions calls f for each distinct content that the file at path ever had in
// a commit that a reference or a worktree's HEAD reaches (the stash is left
// out), newest first and each once, as soon as it is met. "Newest" goes by the
// committers' clocks: a wrong clock changes the order, never what is found. No history
// is simplified away: merges and side branches count. f may keep the Version.
// Where the history is incomplete (see Shallow) the walk ends at the edge
// without an error, and whole is false if it has met it. A content that a partial
// clone has kept back is a version as any other; its Data fails with ErrKeptBack.
func (r *Repo) Versions(ctx context.Context, path repopath.Path, f func(*Version) error) (whole bool, err error) {
	refs, err := r.refs(ctx)
	if err != nil {
		return false, err
	}
	w := newWalk(r, path, r.Shallow())
	defer w.objects.close()
	for _, ref := range refs {
		if err := w.start(r, ref); err != nil {
			return false, err
		}
	}
	if err := w.run(ctx, r, f); err != nil {
		return false, fmt.Errorf("read the history of %s: %w", path, err)
	}
	return !w.met, nil
}

// shallowCommits returns the commits whose parents a shallow clone has cut off. The
// commit objects still name them, and some parents may be here by another way, but git
// treats these commits as having none, and so does a walk. The rule is in
// Documentation/technical/shallow of git's sources.
func (r *Repo) shallowCommits() map[plumbing.Hash]bool {
	b, _ := readFile(filepath.Join(r.commonDir, "shallow"))
	cut := map[plumbing.Hash]bool{}
	for line := range strings.Lines(string(b)) {
		cut[plumbing.NewHash(strings.TrimSpace(line))] = true
	}
	return cut
}

// node is a commit of the walk and the file's blob in it, zero when it has none.
type node struct {
	commit
	blob plumbing.Hash
}

// walk goes over commits, the newest first by the committers' clocks. It loads each
// commit once, and of the trees only those on the way to the file, each distinct one
// once: most commits leave the directories above the lock as they were.
type walk struct {
	objects *objects
	elems   []string
	// memo maps a tree to the file's blob below it, zero when there is none. There is
	// one map per depth: a tree may also lie elsewhere on the path, where another rest
	// of the path is looked up in it.
	memo   []map[plumbing.Hash]plumbing.Hash
	seen   map[plumbing.Hash]*node // nil: known to be absent
	queue  queue
	edge   bool // absent objects are the edge of the history, not damage
	met    bool // the edge
	grafts map[plumbing.Hash]bool
}

// newWalk opens the objects, which the caller closes.
func newWalk(r *Repo, path repopath.Path, edge bool) *walk {
	w := &walk{
		objects: r.objects(), elems: strings.Split(string(path), "/"), seen: map[plumbing.Hash]*node{},
		edge: edge, grafts: r.shallowCommits(),
	}
	w.memo = make([]map[plumbing.Hash]plumbing.Hash, len(w.elems))
	for i := range w.memo {
		w.memo[i] = map[plumbing.Hash]plumbing.Hash{}
	}
	return w
}

// start begins the walk at a reference, too. One that names no commit is in no history.
func (w *walk) start(r *Repo, ref Ref) error {
	if _, err := w.push(plumbing.NewHash(ref.Hash)); err != nil && !errors.Is(err, errNotCommit) {
		return fmt.Errorf("%s: %w", ref.Name, r.explain(ref.Hash, err))
	}
	return nil
}

// push loads a commit and queues it once. It returns nil beyond the edge: in a shallow
// or partial clone an absent object is the end of what is known. Elsewhere it is
// damage, and an error: a walk that left out a part of the history would let gc delete
// what a lock in that part names.
func (w *walk) push(h plumbing.Hash) (*node, error) {
	if n, ok := w.seen[h]; ok {
		return n, nil
	}
	c, err := w.objects.commit(h)
	if err != nil {
		if w.edge && errors.Is(err, plumbing.ErrObjectNotFound) {
			w.seen[h], w.met = nil, true
			return nil, nil
		}
		return nil, err
	}
	if c.hash != h { // h is a tag
		return w.push(c.hash)
	}
	if w.grafts[h] {
		w.met = w.met || len(c.parents) > 0
		c.parents = nil
	}
	n := &node{commit: c}
	n.blob, err = w.blob(0, c.tree)
	if w.edge && errors.Is(err, plumbing.ErrObjectNotFound) {
		err, w.met = nil, true
	}
	if err != nil {
		return nil, err
	}
	w.seen[h] = n
	heap.Push(&w.queue, n)
	return n, nil
}

// blob returns the file's blob below a tree that lies depth directories down its path;
// zero when there is none, or when a symlink, a submodule or a directory is there.
func (w *walk) blob(depth int, tree plumbing.Hash) (plumbing.Hash, error) {
	if h, ok := w.memo[depth][tree]; ok {
		return h, nil
	}
	b, err := w.objects.typed(tree, plumbing.TreeObject)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	var h plumbing.Hash
	e, _ := findEntry(b, w.elems[depth])
	switch last := depth == len(w.elems)-1; {
	case last && e.isFile():
		h = e.hash
	case !last && e.isDir():
		if h, err = w.blob(depth+1, e.hash); err != nil {
			return h, err
		}
	}
	w.memo[depth][tree] = h
	return h, nil
}

// run takes the newest commit off the queue until none is left. The parents are pushed
// before a commit is judged, as it introduces its content only if no parent has it. The
// first commit of a content that comes off the queue is the newest that has it, so f is
// called then, while older commits may still add to Introduced.
func (w *walk) run(ctx context.Context, r *Repo, f func(*Version) error) error {
	versions := map[plumbing.Hash]*Version{}
	for w.queue.Len() > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := heap.Pop(&w.queue).(*node)
		introduced := !n.blob.IsZero()
		for _, h := range n.parents {
			p, err := w.push(h)
			if err != nil {
				return r.explain(h.String(), err)
			}
			if p != nil && p.blob == n.blob {
				introduced = false
			}
		}
		v := versions[n.blob]
		fresh := v == nil && !n.blob.IsZero()
		if fresh {
			v = w.version(r, n)
			versions[n.blob] = v
		}
		if introduced {
			v.Introduced = append(v.Introduced, n.describe())
		}
		n.raw, n.parents = nil, nil // only the blob is asked for again, by a child
		if fresh {
			if err := f(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// version describes the content that a commit has. Its bytes are read when Data is
// called, as a caller may want only some of them.
func (w *walk) version(r *Repo, n *node) *Version {
	blob := n.blob
	return &Version{Blob: blob.String(), Last: n.describe(), Data: func() ([]byte, error) {
		b, err := w.objects.typed(blob, plumbing.BlobObject)
		return b, r.explain(blob.String(), err)
	}}
}

// describe reads what people want to know from the commit's bytes. It is called for
// the commits that are shown, not for all that are walked. A blank line ends the header.
func (c *commit) describe() Commit {
	d := Commit{Hash: c.hash.String()}
	head, message, _ := strings.Cut(string(c.raw), "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if s, ok := strings.CutPrefix(line, "author "); ok {
			d.Author, _ = parseIdent(s)
		}
		if s, ok := strings.CutPrefix(line, "committer "); ok {
			_, d.When = parseIdent(s)
		}
	}
	d.Subject, _, _ = strings.Cut(strings.TrimLeft(message, "\n"), "\n")
	return d
}

// queue is a heap of commits, the newest first.
type queue []*node

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].when > q[j].when }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*node)) }
func (q *queue) Pop() any {
	old := *q
	n := old[len(old)-1]
	*q = old[:len(old)-1]
	return n
}
