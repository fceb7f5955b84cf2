package gitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pipe-build/pipe/internal/diag"
)

// Head is where a work tree stands.
type Head struct {
	Hash   string // of the commit; "" when unborn
	Branch string // its short name; "" when detached
	Unborn bool   // the branch has no commit yet
}

// Head reads HEAD and the branch that it names: two small files.
func (r *Repo) Head(_ context.Context) (Head, error) {
	name, h, err := r.follow("HEAD")
	if err != nil {
		return Head{}, fmt.Errorf("read HEAD: %w", err)
	}
	var head Head
	if name != "HEAD" {
		head.Branch = strings.TrimPrefix(name, "refs/heads/")
	}
	if h.IsZero() {
		head.Unborn = true
	} else {
		head.Hash = h.String()
	}
	return head, nil
}

// RefKind is what sort of name a Ref is.
type RefKind uint8

// The kinds of names.
const (
	OtherRef RefKind = iota
	Branch
	RemoteBranch
	Tag
)

// Ref is a name for a commit.
type Ref struct {
	Kind RefKind
	Name string // in full: refs/heads/main
	Hash string // what it names; an annotated tag names a tag object
}

// Short returns the name as people say it.
func (f Ref) Short() string {
	for _, prefix := range []string{"refs/heads/", "refs/remotes/", "refs/tags/", "refs/"} {
		if s, ok := strings.CutPrefix(f.Name, prefix); ok {
			return s
		}
	}
	return f.Name
}

func refKind(name string) RefKind {
	switch {
	case strings.HasPrefix(name, "refs/heads/"):
		return Branch
	case strings.HasPrefix(name, "refs/remotes/"):
		return RemoteBranch
	case strings.HasPrefix(name, "refs/tags/"):
		return Tag
	}
	return OtherRef
}

// refFile returns where a reference is kept when it is not packed.
func (r *Repo) refFile(name string) string {
	dir := r.commonDir
	if !strings.HasPrefix(name, "refs/") || strings.HasPrefix(name, "refs/bisect/") ||
		strings.HasPrefix(name, "refs/worktree/") || strings.HasPrefix(name, "refs/rewritten/") {
		dir = r.gitDir
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// follow resolves a reference through symbolic ones, and returns the last name and its hash, zero when it has none.
func (r *Repo) follow(name string) (string, plumbing.Hash, error) {
	for range 5 { // as many as git follows
		h, next, err := r.readRef(name)
		if err != nil || next == "" {
			return name, h, err
		}
		name = next
	}
	return "", plumbing.ZeroHash, fmt.Errorf("%s: symbolic references in a circle", name)
}

// readRef returns the hash or the symbolic target of a reference; neither when there is none.
func (r *Repo) readRef(name string) (plumbing.Hash, string, error) {
	file := r.refFile(name)
	b, err := os.ReadFile(file)
	if err == nil {
		return parseRef(file, b)
	}
	if st, serr := os.Stat(file); !absent(err) && (serr != nil || !st.IsDir()) {
		return plumbing.ZeroHash, "", err
	}
	packed, err := os.ReadFile(filepath.Join(r.commonDir, "packed-refs"))
	if err != nil && !absent(err) {
		return plumbing.ZeroHash, "", err
	}
	i := bytes.Index(packed, []byte(" "+name+"\n"))
	if i < 40 {
		return plumbing.ZeroHash, "", nil
	}
	return parseRef("packed-refs", packed[i-40:i])
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNotDir(err) }

func parseRef(file string, b []byte) (plumbing.Hash, string, error) {
	s := string(b)
	if to, ok := strings.CutPrefix(s, "ref:"); ok {
		return plumbing.ZeroHash, strings.TrimSpace(to), nil
	}
	if len(s) >= 40 && plumbing.IsHash(s[:40]) {
		return plumbing.NewHash(s[:40]), "", nil
	}
	return plumbing.ZeroHash, "", diag.New(diag.Integrity, "not a git reference").At(file).Hinted("git fsck")
}

// refs returns all references but the stash, sorted by name, and the HEAD of
// every worktree. A broken one is left out: it names nothing.
func (r *Repo) refs() ([]Ref, error) {
	all := map[string]plumbing.Hash{}
	packed, err := os.ReadFile(filepath.Join(r.commonDir, "packed-refs"))
	if err != nil && !absent(err) {
		return nil, err
	}
	for line := range strings.Lines(string(packed)) {
		if hash, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && plumbing.IsHash(hash) {
			all[name] = plumbing.NewHash(hash)
		}
	}
	if err := r.looseRefs(r.commonDir, all); err != nil {
		return nil, err
	}
	if r.gitDir != r.commonDir {
		if err := r.looseRefs(r.gitDir, all); err != nil {
			return nil, err
		}
	}
	r.heads(all)
	delete(all, "refs/stash")
	refs := make([]Ref, 0, len(all))
	for name, h := range all {
		if !h.IsZero() {
			refs = append(refs, Ref{refKind(name), name, h.String()})
		}
	}
	sort.Slice(refs, func(i, j int) bool { return refs[i].Name < refs[j].Name })
	return refs, nil
}

func (r *Repo) looseRefs(dir string, all map[string]plumbing.Hash) error {
	return filepath.WalkDir(filepath.Join(dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if absent(err) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || strings.HasSuffix(path, ".lock") {
			return err
		}
		name := filepath.ToSlash(rel)
		if _, h, err := r.follow(name); err == nil && !h.IsZero() {
			all[name] = h
		}
		return nil
	})
}

// heads adds the HEAD of every worktree: a detached one keeps its commits alive.
func (r *Repo) heads(all map[string]plumbing.Hash) {
	if _, h, err := r.follow("HEAD"); err == nil {
		all["HEAD"] = h
	}
	files, _ := filepath.Glob(filepath.Join(escapeGlob(r.commonDir), "worktrees", "*", "HEAD"))
	for _, f := range append(files, filepath.Join(r.commonDir, "HEAD")) {
		if b, err := os.ReadFile(f); err == nil {
			if h, _, err := parseRef(f, b); err == nil && !h.IsZero() {
				all[f] = h
			}
		}
	}
}

func escapeGlob(s string) string {
	if filepath.Separator == '\\' {
		return s // Windows has no escape, and no * in names
	}
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`).Replace(s)
}
