package release

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Want is what a deployment is to reach.
type Want struct {
	Kind      string // KindDeploy, ...
	Release   ID
	Stages    map[string]Aim // every stage of the release that the deployment is about
	Whole     bool           // they are all of the release's
	Frozen    []string       // stages that no release has, because they are not to be deployed; they stay as they are
	From      string         // the environment that the release was verified in
	Commit    string         // that made the release; may be empty
	Committed time.Time      // when, by the committer's clock
	Sealed    *Head          // the commit after it that has only another pipe.lock: a run of it finds all live; nil or empty: there is none
	Dirty     bool           // inputs were not as in Commit
	Override  bool           // it is the release of no commit: other sources or values were asked for
	Automatic bool           // nobody asked for this very deployment: a hold and a newer commit keep it away
	MayGoBack bool           // a newer commit does not
	Note      bool           // a release whose stages are all live, but that the state does not have, is a deployment, too
	Newest    bool           // of those who wait and are automatic, only the newest goes on
	NoWait    bool           // fail when another deployment goes on
	Hold      *Hold          // to be set by the write that begins; nil: none
	Held      bool           // deploy although there is a hold, which stays
	Reason    string
	Options   []string      // what narrowed or overrode it, for the history
	Guard     digest.Digest // of the rules that the state is to have from now on; Gate sets it; zero: none
	// First returns which of the stages that are ready begin with the deployment; nil: all of them.
	First func(w *Want, ready []string) []string
	// Gate refuses what the rules of pipe.yaml, or those of the last deployment, do not allow.
	// It is asked about the very state that the deployment begins on. nil: there are none, and the
	// state's Guard stays.
	Gate func(ctx context.Context, s *State, w *Want) error
}

// Aim is one stage as it is to be live.
type Aim struct {
	Part    Part
	Key     digest.Key
	Values  map[string]string // of its variables, those that pipe.yaml or --set gave
	Outside map[string]string // hashes of those that came from outside
	Commit  string            // that made this stage; empty: the deployment's
	Again   bool              // run the command although this version is live
	Done    bool              // but not again: this run has just deployed it
}

// done reports whether a stage is as it is to be, by what the state says.
func (w *Want) done(s *State, name string) bool {
	a := w.Stages[name]
	st, there := s.Stages[name]
	if w.Kind == KindDestroy {
		return !there
	}
	return (a.Done || !a.Again && !a.Part.AlwaysChanged) && st.Status == action.StatusOK && st.Key == a.Key
}

// unnoted reports whether all is as the release wants it, but nothing says that the release has proved itself here:
// it came in parts, or with edits that are committed by now, or lacks a stage, or changes nothing that a key
// has. Without a note of it no environment that waits for this one would ever get it.
func (w *Want) unnoted(s *State) bool {
	return w.Note && w.Whole && !w.Dirty && !w.Override && !w.Release.IsZero() && (w.Release != s.Live || !slices.Contains(s.Verified, w.Release))
}

// Without takes a stage out of the deployment, and those that need it: it could not be made.
func (w *Want) Without(name string) {
	delete(w.Stages, name)
	w.Whole = false
	for other, a := range w.Stages {
		if slices.Contains(a.Part.Needs, name) {
			w.Without(other)
		}
	}
}

// Tidy drops the needs that no stage of the deployment has: what is left out is waited for by
// nobody.
func (w *Want) Tidy() {
	for name, a := range w.Stages {
		a.Part.Needs = slices.DeleteFunc(slices.Clone(a.Part.Needs), func(n string) bool { _, ok := w.Stages[n]; return !ok })
		w.Stages[name] = a
	}
}

// Made returns the release of a project that the stages make.
func (w *Want) Made(project string) *Release {
	r := &Release{Schema: ReleaseSchema, Project: project, Stages: map[string]Part{}}
	for name, a := range w.Stages {
		r.Stages[name] = a.Part
		if len(a.Part.Images)+len(a.Part.URLs) > 0 {
			r.Requires = []string{needsNames}
		}
	}
	return r
}

// Order returns the stages in an order in which each comes after those that it needs.
func (w *Want) Order() []string { return w.Made("").Names() }

// MadeBy returns the commit by whose name the release can be found; "" when it is that of none.
func (w *Want) MadeBy() string {
	if w.Dirty || w.Override || !w.Whole {
		return ""
	}
	return w.Commit
}

// names returns the stages that the deployment is about, sorted.
func (w *Want) names() []string { return slices.Sorted(maps.Keys(w.Stages)) }

// Pending returns the stages that must run, sorted, by what the state says.
func (w *Want) Pending(s *State) []string {
	return slices.DeleteFunc(w.names(), func(name string) bool { return w.done(s, name) })
}

// ready returns those of the pending stages that need none of the others.
func (w *Want) ready(pending []string) []string {
	return slices.DeleteFunc(slices.Clone(pending), func(name string) bool {
		return slices.ContainsFunc(w.Before(name), func(n string) bool { return slices.Contains(pending, n) })
	})
}

// Before returns the stages of the deployment that come before one, each once and the nearest
// first: what is needed through a stage that is live already still comes first.
func (w *Want) Before(name string) (before []string) {
	seen := map[string]bool{name: true}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		for _, n := range w.Stages[todo[0]].Part.Needs {
			if _, ok := w.Stages[n]; ok && !seen[n] {
				seen[n] = true
				before, todo = append(before, n), append(todo, n)
			}
		}
	}
	return before
}

// Verdict is what becomes of a deployment that is not an error.
type Verdict struct {
	Do  Do
	Why string // for people; empty for Go
}

// Do is the sort of a Verdict.
type Do uint8

// The verdicts.
const (
	Go         Do = iota // there is something to deploy
	Nothing              // all of it is live
	Superseded           // a newer commit is there, or waits
	Held                 // a hold keeps it away
)

// Judge decides by the state what becomes of a deployment. It is asked by those who only want to
// know, and by Begin on the bytes that its write replaces.
func (e *Environment) Judge(ctx context.Context, s *State, w *Want) (Verdict, error) {
	if len(w.Pending(s)) == 0 {
		if w.Kind == KindDestroy {
			return Verdict{Nothing, "nothing is live in " + e.opt.Name}, nil
		}
		if w.unnoted(s) {
			if v, err := e.rules(ctx, s, w); err == nil && v.Do == Go {
				return v, nil
			} // where a rule is against a note, there is still nothing to do
		}
		return Verdict{Nothing, "live in " + e.opt.Name}, nil
	}
	return e.rules(ctx, s, w)
}

// rules asks for a deployment what may be against it.
func (e *Environment) rules(ctx context.Context, s *State, w *Want) (Verdict, error) {
	if v, err := e.held(s, w); err != nil || v.Do != Go {
		return v, err
	}
	if v, err := e.older(ctx, s, w); err != nil || v.Do != Go {
		return v, err
	}
	// What goes on now is another situation when it has ended: nobody is asked to approve of this one.
	if w.Gate != nil && s.Lease == nil {
		return Verdict{}, w.Gate(ctx, s, w)
	}
	return Verdict{}, nil
}

// held obeys a hold: who deploys on its own stays away without a failure, who asked for it is told. A rollback
// goes on: it is how a hold is made.
func (e *Environment) held(s *State, w *Want) (Verdict, error) {
	h := s.Hold
	if h == nil || w.Kind == KindRollback || w.Kind == KindDestroy || w.Held {
		return Verdict{}, nil
	}
	why := e.holder(h)
	if h.Until == UntilNext {
		if !h.vetoes(w.Release) {
			return Verdict{}, nil
		}
		why = "release " + w.Release.Short() + " was rolled back" + by(h.By) + at(h.At)
	}
	if w.Automatic {
		return Verdict{Held, why + e.resumes()}, nil
	}
	return Verdict{}, diag.New(diag.Policy, "%s", why).At(e.cell()).
		Hinted("pipe resume %s ends the hold; --hold deploys and keeps it", e.opt.Name)
}

// HeldWhy says for people who holds the environment, since when and why, and what ends that.
func (e *Environment) HeldWhy(h *Hold) string { return e.holder(h) + e.resumes() }

func (e *Environment) holder(h *Hold) string {
	why := e.opt.Name + " is held" + by(h.By) + since(h.At)
	if h.Reason != "" {
		why += ": " + h.Reason
	}
	return why
}

func (e *Environment) resumes() string { return "; pipe resume " + e.opt.Name + " ends the hold" }

// older keeps an automatic deployment from replacing a commit by one of its ancestors, however it
// ended: an old run that is started again would otherwise take back what came after it.
func (e *Environment) older(ctx context.Context, s *State, w *Want) (Verdict, error) {
	if !w.Automatic || w.MayGoBack || w.Commit == "" {
		return Verdict{}, nil
	}
	if h := s.Head; h != nil && h.Of != w.Commit {
		why, err := e.before(ctx, w, h.Commit, h.Committed)
		if err != nil || why != "" {
			return Verdict{Superseded, why + ", which was already live in " + e.opt.Name}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Stages)) {
		st := s.Stages[name]
		if st.Gone > 0 {
			continue
		}
		why, err := e.before(ctx, w, st.Commit, st.Committed)
		if err != nil || why != "" {
			return Verdict{Superseded, why + ", which " + name + " in " + e.opt.Name + " has"}, err
		}
	}
	return Verdict{}, nil
}

// before says that the commit of a deployment comes before another one, "" when it does not.
func (e *Environment) before(ctx context.Context, w *Want, commit string, committed time.Time) (why string, err error) {
	older, known, err := e.ancestor(ctx, w.Commit, w.Committed, commit, committed)
	if err != nil || !older {
		return "", err
	}
	note := ""
	if !known {
		note = " by commit date; git does not have both commits"
	}
	return "commit " + short(w.Commit) + " is older than " + short(commit) + note, nil
}

// ancestor reports whether commit x comes before y, and whether git says so: where it does not know both, the clocks of
// committers are all that is left.
func (e *Environment) ancestor(ctx context.Context, x string, xAt time.Time, y string, yAt time.Time) (older, known bool, err error) {
	if x == y || y == "" {
		return false, true, nil
	}
	older, known, err = e.opt.Older(ctx, x, y)
	if err == nil && !known {
		older = !xAt.IsZero() && xAt.Before(yAt)
	}
	return older, known, err
}

// See notes that there was nothing to deploy for a commit, when that commit is the newest: a run of an
// older one that comes late must not take back what this one has found to be right.
func (e *Environment) See(ctx context.Context, w *Want) error {
	s, err := e.lately(ctx)
	if err != nil || !w.Automatic || w.Commit == "" || w.MayGoBack || s.absent || s.has(w) {
		return err
	}
	return e.changeIf(ctx, func(s *State) (bool, error) {
		v, err := e.older(ctx, s, w)
		if err != nil || v.Do != Go || s.has(w) || len(w.Pending(s)) > 0 {
			return false, err // another run may have deployed meanwhile
		}
		s.Head = w.head()
		return true, nil
	})
}

func (w *Want) sealed() bool { return w.Sealed != nil && w.Sealed.Commit != "" }

// head is what See notes.
func (w *Want) head() *Head {
	h := &Head{Commit: w.Commit, Committed: w.Committed.UTC().Truncate(time.Second)}
	if w.sealed() {
		h.Commit, h.Committed, h.Of = w.Sealed.Commit, w.Sealed.Committed.UTC().Truncate(time.Second), w.Commit
	}
	if w.Whole && !w.Dirty && !w.Override {
		h.Release = w.Release
	}
	return h
}

// has reports whether the commit of a deployment is the newest that the state knows of.
func (s *State) has(w *Want) bool {
	if h := s.Head; h != nil {
		return h.Commit == w.head().Commit || !w.sealed() && h.Of == w.Commit
	}
	for _, st := range s.Stages {
		if st.Gone == 0 && st.Commit != w.head().Commit {
			return false
		}
	}
	return true
}

func short(commit string) string { return commit[:min(len(commit), 12)] }

// by names who did something, where that is known.
func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

// at tells people when something happened.
func at(t time.Time) string { return " at " + t.UTC().Format("2006-01-02 15:04 MST") }

// since tells people when something began.
func since(at time.Time) string { return " since " + at.UTC().Format("2006-01-02 15:04 MST") }
