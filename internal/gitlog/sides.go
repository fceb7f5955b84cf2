package gitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Sides are the versions of a file that a merge, rebase, cherry-pick, revert or stash pop brings
// together, the nearest first. Each is nil where there is none.
type Sides struct {
	Unmerged     bool // git's index has a conflict there
	Others       int  // how many other files have conflicts in the index
	Base         []byte
	Ours, Theirs [][]byte
}

// Sides returns the versions of a file that meet in the work tree: those of a conflict in the index,
// those of the commits that are brought together now, or were by the last commit, and what was there
// before. It only helps to find a version again: which one counts, nothing here tells.
func (r *Repo) Sides(ctx context.Context, path repopath.Path) (*Sides, error) {
	out, err := r.git(ctx, nil, "ls-files", "-u", "-z")
	if err != nil {
		return nil, err
	}
	s, others := &Sides{}, map[string]bool{}
	for line := range strings.SplitSeq(string(out), "\x00") {
		about, name, ok := strings.Cut(line, "\t")
		info := strings.Fields(about) // mode, hash, stage
		if !ok || len(info) < 3 {
			continue
		}
		if name != string(path) {
			others[name] = true
			continue
		}
		s.Unmerged = true
		data, err := r.git(ctx, nil, "cat-file", "blob", info[1])
		if err != nil {
			return nil, err
		}
		switch info[2] {
		case "1":
			s.Base = data
		case "2":
			s.Ours = append(s.Ours, data)
		case "3":
			s.Theirs = append(s.Theirs, data)
		}
	}
	s.Others = len(others)
	return s, r.commitSides(ctx, path, s)
}

// commitSides adds what commits have. A shallow or partial clone, which lacks some of them, has fewer
// versions to offer; nothing is fetched.
func (r *Repo) commitSides(ctx context.Context, path repopath.Path, s *Sides) error {
	ours, theirs, base := r.meeting(ctx)
	if s.Base == nil {
		s.Base = r.version(ctx, base, path)
	}
	for _, commit := range ours {
		s.Ours = add(s.Ours, r.version(ctx, commit, path))
	}
	for _, commit := range theirs {
		s.Theirs = add(s.Theirs, r.version(ctx, commit, path))
	}
	return ctx.Err()
}

// meeting returns the commits that meet in the work tree, or have met in HEAD, and what they come from.
func (r *Repo) meeting(ctx context.Context) (ours, theirs []string, base string) {
	head := r.hash(ctx, "HEAD")
	if r.atRest() != nil {
		for _, now := range [][2]string{
			{"MERGE_HEAD", ""}, {"REBASE_HEAD", "REBASE_HEAD^"}, {"CHERRY_PICK_HEAD", "CHERRY_PICK_HEAD^"}, {"REVERT_HEAD^", "REVERT_HEAD"},
		} {
			other := r.hash(ctx, now[0])
			if other == "" {
				continue
			}
			if base = r.hash(ctx, now[1]); base == "" {
				base = r.common(ctx, head, other)
			}
			return []string{head}, []string{other}, base
		}
		return []string{head}, nil, ""
	}
	// What git has merged without a conflict is in HEAD already.
	before, merged := r.hash(ctx, "HEAD^1"), r.hash(ctx, "HEAD^2")
	if merged != "" {
		return []string{head, before}, []string{merged, r.hash(ctx, "HEAD^3")}, r.common(ctx, before, merged)
	}
	// A rebase leaves where it began, a reset too; but the two sides of a rebase have parted.
	began := r.hash(ctx, "ORIG_HEAD")
	if base = r.common(ctx, before, began); base == "" || base == before || base == began {
		return []string{head, before}, nil, ""
	}
	return []string{head, before}, []string{began}, base
}

// common returns the best common ancestor of two commits, "" where there is none here.
func (r *Repo) common(ctx context.Context, a, b string) string {
	if a == "" || b == "" {
		return ""
	}
	out, _ := r.local(ctx, "merge-base", a, b)
	return strings.TrimSpace(string(out))
}

func add(all [][]byte, data []byte) [][]byte {
	if data == nil || len(all) > 0 && bytes.Equal(all[len(all)-1], data) {
		return all
	}
	return append(all, data)
}

// hash returns the commit that a revision names, "" where there is none here.
func (r *Repo) hash(ctx context.Context, rev string) string {
	if rev == "" {
		return ""
	}
	out, _ := r.local(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	return strings.TrimSpace(string(out))
}

// version returns a file in a commit, nil where either is not there.
func (r *Repo) version(ctx context.Context, commit string, path repopath.Path) []byte {
	if commit == "" {
		return nil
	}
	data, err := r.local(ctx, "cat-file", "blob", commit+":"+string(path))
	if err != nil {
		return nil
	}
	return data
}

// Settle replaces the versions of a conflict in the index by data. It fails with diag.Busy when
// another git process holds the index.
func (r *Repo) Settle(ctx context.Context, path repopath.Path, data []byte) error {
	hash, err := r.write(ctx, "blob", data)
	if err != nil {
		return err
	}
	h, err := r.holdIndex(ctx)
	if err != nil {
		return err
	}
	return h.put(ctx, path, entry{mode: "100644", hash: hash})
}

// InIndex returns the bytes of a file in the index. It fails with ErrNoFile where there is none, and
// with diag.Integrity in a conflict.
func (r *Repo) InIndex(ctx context.Context, path repopath.Path) ([]byte, error) {
	e, err := r.entryInIndex(ctx, path)
	if err != nil {
		return nil, err
	}
	if !e.isFile() {
		out, err := r.git(ctx, nil, "ls-files", "-u", "--", string(path))
		if err == nil && len(out) > 0 {
			return nil, diag.New(diag.Integrity, "git's index has a conflict there").At(":" + string(path))
		}
		return nil, errors.Join(err, fmt.Errorf("%s in the index: %w", path, ErrNoFile))
	}
	return r.git(ctx, nil, "cat-file", "blob", e.hash)
}
