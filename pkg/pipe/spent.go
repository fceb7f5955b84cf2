package pipe

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/event"
)

// spentName is a file in pipe's own directory that remembers how long builds took, "run seconds"
// a line. The records say the same, but to open one for each stage that is skipped would double
// what a run of 1,000 stages costs that does nothing; the file adds some 2 %. Without it they are
// read once more, and what is wrong in it is only printed: it never decides anything.
const spentName = "seconds"

// spent is what the file says, by run; 0: the cache has no record that says it.
type spent map[string]float64

// runName names a run in the file. A part of the key is enough: two that are taken for one cost
// a wrong number in a summary.
func runName(o *engine.Outcome) string {
	const digits = len("k1:") + 16
	return o.Key.String()[:digits] + "." + strconv.Itoa(o.Generation)
}

// countSaved counts how long the builds and checks took, when they ran, that need not run now.
// The remote is not asked: a clone that has neither built nor restored a stage does not know.
// Nothing fails here, because a summary is no reason for a run to fail.
func (p *Project) countSaved(ctx context.Context, r *engine.Result) {
	known, changed := p.spent(), false
	var names []string
	for i := range r.Stages {
		o := &r.Stages[i]
		if o.Stage.Deploy || !o.Done || o.Key.IsZero() || o.Stage.AlwaysChanged {
			continue
		}
		name := runName(o)
		was, ok := known[name]
		seconds := was
		switch {
		case o.Seconds > 0:
			seconds = o.Seconds
		case !ok:
			seconds = p.tookOf(ctx, object.RunID{Key: o.Key, Generation: o.Generation})
		}
		if names = append(names, name); !ok || seconds != was {
			known[name], changed = seconds, true
		}
		switch {
		case o.Verdict.Do != event.Skip && o.Verdict.Do != event.Restore:
		case seconds > 0:
			o.Saved = seconds
			r.Counts.Saved += seconds
		default:
			r.Counts.Unsaved++
		}
	}
	if !changed {
		return
	}
	// Those of other branches are kept, but not for ever.
	if len(known) > 4*len(p.spec.Stages)+100 {
		maps.DeleteFunc(known, func(name string, _ float64) bool { return !slices.Contains(names, name) })
	}
	p.saveSpent(known)
}

// tookOf returns how long a run took, as the cache's record says.
func (p *Project) tookOf(ctx context.Context, id object.RunID) float64 {
	rec, err := engine.Lookup(ctx, p.cache, id)
	if err != nil {
		return 0
	}
	return rec.Seconds
}

// spent reads the file.
func (p *Project) spent() spent {
	b, err := p.work.Files().Read(worktree.Dir+"/"+spentName, atomicfile.MaxNote)
	if err != nil {
		return spent{}
	}
	all := make(spent, bytes.Count(b, []byte("\n")))
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e9 {
			all[name] = s
		}
	}
	return all
}

// saveSpent writes the file.
func (p *Project) saveSpent(all spent) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(name + " " + strconv.FormatFloat(all[name], 'g', -1, 64) + "\n")
	}
	_ = p.write(worktree.Dir+"/"+spentName, []byte(b.String()))
}
