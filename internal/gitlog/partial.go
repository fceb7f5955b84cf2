package gitlog

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
)

// ErrKeptBack says that an object is not here because this is a partial clone: the remote
// that promised it has it.
var ErrKeptBack = errors.New("kept back by a partial clone")

// Fetch brings objects that a partial clone has kept back, given by their full hashes: one
// request for all of them, where git itself would make one for each as it meets them. Of
// several remotes that promise objects the next is asked when one fails. The error is of kind
// network, and its place says which remote that is.
func (r *Repo) Fetch(ctx context.Context, hashes []string) error {
	return r.fetchKeptBack(ctx, "blob:none", hashes)
}

// fetchKeptBack is Fetch with the filter for what the objects name in their turn.
func (r *Repo) fetchKeptBack(ctx context.Context, filter string, hashes []string) error {
	var failed error
	for _, name := range r.promisors(ctx) {
		// As git's own fetch_objects in promisor-remote.c, and no upkeep or tags.
		_, err := r.git(ctx, strings.NewReader(strings.Join(hashes, "\n")+"\n"), append(transferSettings(), "-c", "fetch.negotiationAlgorithm=noop",
			"fetch", name, "--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head", "--recurse-submodules=no", "--filter="+filter, "--stdin")...)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failed = diag.New(diag.Network, "git fetch: %s", fatal(err)).At("git remote "+name).Hinted("git fetch %s", name)
	}
	if failed == nil {
		failed = diag.New(diag.Network, "this clone names no remote that has the objects it lacks").At(r.root).Hinted("git remote -v")
	}
	return failed
}

// promisors returns the names of the remotes that have what a partial clone lacks, the one
// that it was cloned from first.
func (r *Repo) promisors(ctx context.Context) (names []string) {
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add(r.Setting(ctx, "extensions.partialClone"))
	// An error means that there are none.
	all, _ := r.git(ctx, nil, "config", "--type=bool", "--get-regexp", `^remote\..*\.promisor$`)
	for line := range strings.Lines(string(all)) {
		if key, ok := strings.CutSuffix(strings.TrimSpace(line), " true"); ok {
			add(strings.TrimSuffix(strings.TrimPrefix(key, "remote."), ".promisor"))
		}
	}
	return names
}

// fatal returns what git said was wrong, without what it said on the way there.
func fatal(err error) string {
	exit := (*exec.ExitError)(nil)
	if errors.As(err, &exit) {
		for line := range strings.Lines(string(exit.Stderr)) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), "fatal: "); ok {
				return text
			}
		}
	}
	return err.Error()
}
