package pipe

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// goesRound reports whether to commit the lock could start runs without end, each the cause of the next one: the
// commit that was built only brings a pipe.lock, which is what started this run, and has no news but what
// differs from run to run. A person or a clock starts no such circle.
func (c *ciRun) goesRound(ctx context.Context, lock, was *lockfile.File) (bool, error) {
	if c.known == nil || c.job.Asked {
		return false, nil
	}
	message, err := c.p.repo.Message(ctx, c.p.built)
	if err != nil || !bringsLock(message) {
		return false, err
	}
	names := volatile(was, lock)
	if names == nil {
		return false, nil
	}
	c.r.Lock.Cause = lockVolatile
	c.p.note("pipe.lock is not committed again: since its last commit only what may differ in each run has changed, in " + strings.Join(names, ", "))
	return true, nil
}

// bringsLock reports whether a commit says that it updates a pipe.lock: as pipe ci writes it, a hook has changed it, or a
// forge has merged or squashed it. The clone may be too shallow to see what else the commit does; where it
// does more, its own next run commits the lock.
func bringsLock(message string) bool {
	for line := range strings.Lines(message) {
		if _, what, ok := strings.Cut(line, lockTitle); ok && strings.Contains(what, lockfile.FileName) {
			return true
		}
	}
	return false
}

// volatile returns the stages that differ, when all of them do by what may be another one in each run: outputs of
// the same inputs (always_changed), variables, outputs of commands, and what was made of such outputs. It
// returns nil when anything else has changed, too.
func volatile(was, lock *lockfile.File) []string {
	if !bytes.Equal((&lockfile.File{Sources: was.Sources}).Encode(), (&lockfile.File{Sources: lock.Sources}).Encode()) {
		return nil
	}
	changes, names := lockfile.Diff(was, lock), changedStages(was, lock)
	var found []string
	var made []repopath.Path
	for more := true; more; {
		more = false
		for _, name := range names {
			if slices.Contains(found, name) || !differsByChance(was.Stage(name), lock.Stage(name), changes, made) {
				continue
			}
			found, more = append(found, name), true
			for _, o := range lock.Stage(name).Outs {
				made = append(made, o.Path)
			}
		}
	}
	if len(found) < len(names) {
		return nil
	}
	return found
}

// differsByChance reports whether a stage is the same but for what may differ in each run. made are such outputs
// of other stages.
func differsByChance(was, is *lockfile.Stage, changes []lockfile.Change, made []repopath.Path) bool {
	if was == nil || is == nil {
		return false
	}
	return !slices.ContainsFunc(changes, func(c lockfile.Change) bool {
		if c.Stage != is.Name {
			return false
		}
		switch {
		case c.Old == "" || c.New == "":
			return true
		case slices.Contains([]string{"out", "tool", "image", "url"}, c.What):
			return false
		case c.What == "env": // a value that pipe.yaml has is not hashed
			return slices.ContainsFunc(is.Env, func(e lockfile.Env) bool { return e.Name == c.Path && e.Hash == "" })
		case c.What == "dep":
			dep := repopath.Path(c.Path)
			return !slices.ContainsFunc(made, func(out repopath.Path) bool { return dep.Holds(out) || out.Holds(dep) })
		}
		return true
	})
}
