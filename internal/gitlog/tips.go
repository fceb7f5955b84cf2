package gitlog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Tips says which commits are meant. The zero value means none.
type Tips struct {
	Branches bool     // local ones, and those of remotes
	Tags     bool     // that name a commit
	Revs     []string // in any form of gitrevisions(7)
}

// Snapshot is what one or several commits have at some paths.
type Snapshot struct {
	Name   string   // the first of the commits, as people say it
	Commit string   // its hash
	Files  [][]byte // by the order of the paths; nil: the commit has no such file
}

// Snapshots reads the files at the paths in each commit that is meant. Commits that have the same
// files are one snapshot, in the order of the references' names. A revision that git does not
// know is a diag.NotFound error; a tag of something else than a commit is left out.
func (r *Repo) Snapshots(ctx context.Context, tips Tips, paths ...repopath.Path) ([]Snapshot, error) {
	commits, err := r.tips(ctx, tips)
	if err != nil {
		return nil, err
	}
	var all []Snapshot
	seen := map[string]bool{}
	for _, c := range commits {
		entries := make([]entry, len(paths))
		id := ""
		for i, p := range paths {
			if entries[i], err = r.entryAt(ctx, c.Hash, p); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			id += entries[i].mode + entries[i].hash + " "
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		s := Snapshot{Name: c.Name, Commit: c.Hash, Files: make([][]byte, len(paths))}
		for i, e := range entries {
			if !e.isFile() {
				continue
			}
			if s.Files[i], err = r.git(ctx, nil, "cat-file", "blob", e.hash); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// tips returns the commits, each once, with the first name that leads there.
func (r *Repo) tips(ctx context.Context, tips Tips) (commits []Ref, err error) {
	add := func(name, commit string) {
		if !slices.ContainsFunc(commits, func(c Ref) bool { return c.Hash == commit }) {
			commits = append(commits, Ref{name, commit})
		}
	}
	for _, rev := range tips.Revs {
		hash, err := r.Resolve(ctx, rev)
		if err != nil {
			return nil, err
		}
		add(rev, hash)
	}
	if !tips.Branches && !tips.Tags {
		return commits, nil
	}
	// An annotated tag has two hashes, its own and what it names.
	out, err := r.git(ctx, nil, "for-each-ref", "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)", "refs/heads", "refs/remotes", "refs/tags")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, diag.New(diag.Failed, "cannot read the references: %q", line).At(r.root)
		}
		name := f[len(f)-1]
		if strings.HasPrefix(name, "refs/tags/") && !tips.Tags || !strings.HasPrefix(name, "refs/tags/") && !tips.Branches {
			continue
		}
		for i := 0; i+1 < len(f); i += 2 {
			if f[i] == "commit" {
				add(Ref{Name: name}.Short(), f[i+1])
			}
		}
	}
	return commits, nil
}
