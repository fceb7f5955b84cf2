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
	"syscall"

	"github.com/pipe-build/pipe/internal/diag"
)

// Head is where a work tree stands.
type Head struct {
	Hash   string // of the commit; "" when unborn
	Branch string // its short name; "" when detached
	Unborn bool   // the branch has no commit yet
}

// Head reads HEAD and the branch that it names: two small files, unless git
// keeps its references in tables. A HEAD that cannot be read is an error, never an
// unborn branch.
func (r *Repo) Head(ctx context.Context) (Head, error) {
	read := r.follow
	if r.hasTables() {
		read = func(string) (string, string, error) { return r.askHead(ctx) }
	}
	name, hash, err := read("HEAD")
	if err != nil {
		return Head{}, fmt.Errorf("read HEAD: %w", err)
	}
	head := Head{Hash: hash, Unborn: hash == ""}
	if name != "HEAD" {
		head.Branch = strings.TrimPrefix(name, "refs/heads/")
	}
	return head, nil
}

// hasTables reports whether references are kept in reftables, which only the git program reads.
func (r *Repo) hasTables() bool {
	_, err := os.Stat(filepath.Join(r.commonDir, "reftable"))
	return err == nil
}

// askHead returns what follow does for HEAD, from the git program. The two calls are
// not atomic: a switch between them may pair one branch's name with the other's
// commit. CommitFile is safe from that, as update-ref checks the old commit.
func (r *Repo) askHead(ctx context.Context) (name, hash string, err error) {
	out, err := r.git(ctx, nil, "symbolic-ref", "-q", "HEAD")
	if failed(err) { // detached
		out, err = []byte("HEAD"), nil
	}
	if err != nil {
		return "", "", err
	}
	name = strings.TrimSpace(string(out))
	out, err = r.git(ctx, nil, "rev-parse", "-q", "--verify", "HEAD")
	if failed(err) { // unborn
		err = nil
	}
	return name, strings.TrimSpace(string(out)), err
}

// Ref is a name for a commit.
type Ref struct {
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

// isShared reports whether people share the reference: a branch, a remote's branch or a tag.
func (f Ref) isShared() bool {
	return strings.HasPrefix(f.Name, "refs/heads/") || strings.HasPrefix(f.Name, "refs/remotes/") || strings.HasPrefix(f.Name, "refs/tags/")
}

// refFile returns where a reference is kept when it is not packed. A worktree has a
// HEAD of its own, and the references that gitrepository-layout(5) calls per-worktree;
// the others are shared.
func (r *Repo) refFile(name string) string {
	dir := r.commonDir
	if !strings.HasPrefix(name, "refs/") || strings.HasPrefix(name, "refs/bisect/") ||
		strings.HasPrefix(name, "refs/worktree/") || strings.HasPrefix(name, "refs/rewritten/") {
		dir = r.gitDir
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// follow resolves a reference through symbolic ones, and returns the last name and its hash, "" when it has none.
func (r *Repo) follow(name string) (last, hash string, err error) {
	for range 5 { // as many as git follows
		hash, next, err := r.readRef(name)
		if err != nil || next == "" {
			return name, hash, err
		}
		name = next
	}
	return "", "", fmt.Errorf("%s: symbolic references form a cycle", name)
}

// readRef returns the hash or the symbolic target of a reference; neither when there
// is none. It looks into the reference's own file first and into packed-refs second.
// git pack-refs goes the other way, it writes packed-refs before it removes the file,
// so a reference that is packed meanwhile is found in one of the two.
func (r *Repo) readRef(name string) (hash, target string, err error) {
	file := r.refFile(name)
	b, err := readFile(file)
	if err == nil {
		return parseRef(file, b)
	}
	// A directory may lie at the name: what is left of refs/heads/a/b when a itself is packed.
	if st, serr := os.Stat(file); !absent(err) && (serr != nil || !st.IsDir()) {
		return "", "", err
	}
	packed, err := r.packedRefs()
	if i := bytes.Index(packed, []byte(" "+name+"\n")); i > 0 {
		if h := string(packed[bytes.LastIndexByte(packed[:i], '\n')+1 : i]); isHash(h) {
			return h, "", nil
		}
	}
	return "", "", err
}

// packedRefs returns the file of packed references, empty when there is none.
func (r *Repo) packedRefs() ([]byte, error) {
	b, err := readFile(filepath.Join(r.commonDir, "packed-refs"))
	if absent(err) {
		err = nil
	}
	return b, err
}

// refLines reads lines of a hash, a space and a name.
func refLines(b []byte) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if hash, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); isHash(hash) {
			all[name] = hash
		}
	}
	return all
}

// absent reports whether an error says that there is no such file: ENOTDIR when a
// file lies where a directory of the path should be.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// isHash reports whether s is a whole hash, of SHA-1 or SHA-256. All zeros is git's
// word for "nothing" and is none.
func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}

// parseRef reads a reference's file: "ref: NAME", or a hash on the
// first line. Anything else, such as the empty file that a power cut can leave, is
// damage: taken for an unborn branch, it would hide a history.
func parseRef(file string, b []byte) (hash, target string, err error) {
	s := strings.TrimSpace(string(b))
	if to, ok := strings.CutPrefix(s, "ref:"); ok {
		return "", strings.TrimSpace(to), nil
	}
	if hash, _, _ := strings.Cut(s, "\n"); isHash(hash) {
		return hash, "", nil
	}
	return "", "", diag.New(diag.Integrity, "not a git reference").At(file).Hinted("git fsck")
}

// refs returns all references but the stash, sorted by name, and the HEAD of
// every worktree. Git leaves out a broken reference: it names nothing.
func (r *Repo) refs(ctx context.Context) ([]Ref, error) {
	all, err := r.askRefs(ctx)
	if err != nil {
		return nil, err
	}
	delete(all, "refs/stash")
	refs := make([]Ref, 0, len(all))
	for name, hash := range all {
		refs = append(refs, Ref{name, hash})
	}
	sort.Slice(refs, func(i, j int) bool { return refs[i].Name < refs[j].Name })
	return refs, r.checkFormat(refs)
}

// checkFormat refuses a sha256 repository, which go-git cannot read. Every reading of the
// history passes here.
func (r *Repo) checkFormat(refs []Ref) error {
	if len(refs) > 0 && len(refs[0].Hash) == 64 {
		return diag.New(diag.Failed, "reading the history of a sha256 repository is not supported yet").At(r.root).
			Hinted("git log --all -S HASH -- pipe.lock")
	}
	return nil
}

// askRefs asks the git program for all references and the HEAD of every worktree: a
// detached HEAD is named by no reference, but its lock is in use all the same.
func (r *Repo) askRefs(ctx context.Context) (map[string]string, error) {
	out, err := r.git(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	all := refLines(out)
	if out, err = r.git(ctx, nil, "worktree", "list", "--porcelain"); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		if hash, ok := strings.CutPrefix(strings.TrimSpace(line), "HEAD "); ok && strings.Trim(hash, "0") != "" {
			all["HEAD of "+hash] = hash
		}
	}
	return all, nil
}
