package release

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/lease"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Begin waits until nobody else deploys to the environment, decides, and begins the deployment:
// one write takes the lease, counts epoch and number up, says of stages that a dead run left
// behind that they are unknown, and that the first stages are being deployed. No command may run
// before it. Where the verdict is not Go there is no deployment, and nothing was written but
// who waits. The caller must call End.
func (e *Environment) Begin(ctx context.Context, w *Want) (*Deployment, Verdict, error) {
	// Most runs find nothing to do, and need no proof of anything.
	s, v, err := e.foresee(ctx, w)
	if err != nil || v.Do != Go && (v.Do != Nothing || s.Lease == nil) {
		if err == nil && v.Do == Nothing {
			err = e.See(ctx, w)
		}
		return nil, v, err
	}
	day, err := e.probe(ctx, s)
	if err != nil {
		return nil, Verdict{}, err
	}
	b := &beginning{Environment: e, want: w, day: day, nonce: rand.Text()}
	v, err = b.turn(ctx)
	if err == nil && v.Do == Nothing {
		err = e.See(ctx, w)
	}
	if b.registered && (err != nil || v.Do != Go) {
		// Whoever comes next must not wait for a run that has gone.
		b.leave(context.WithoutCancel(ctx))
	}
	if err != nil || v.Do != Go {
		return nil, v, err
	}
	return b.deployment(ctx), v, nil
}

// foresee decides by the state as this run has read it last. What is turned down by it is decided
// about again by what is there now: somebody may have deployed since.
func (e *Environment) foresee(ctx context.Context, w *Want) (s *State, v Verdict, err error) {
	if s = e.recalled(); s != nil {
		if v, err = e.Judge(ctx, s, w); err == nil && v.Do == Go {
			return s, v, nil
		}
	}
	if s, err = e.Read(ctx); err == nil {
		v, err = e.Judge(ctx, s, w)
	}
	return s, v, err
}

// beginning is a run on its way to a deployment.
type beginning struct {
	*Environment
	want       *Want
	day        string // of the proof that is new
	nonce      string // of the lease, and of the place among those who wait
	registered bool   // it stands among those who wait

	sent    time.Time        // when the write was sent that took the lease
	last    *State           // as that write left it
	live    ID               // what was live before
	before  map[string]Stage // what the state said of the stages that have begun
	pending []string         // the stages that must run
	first   []string         // those that have begun
}

// errWait ends a change that must wait for another deployment.
var errWait = errors.New("another deployment goes on")

// leaveWithin bounds how long the end of a run is delayed by taking it off the list of those who wait.
const leaveWithin = 5 * time.Second

// turn waits for the turn of this run and takes the lease.
func (b *beginning) turn(ctx context.Context) (Verdict, error) {
	for {
		var v Verdict
		var seen lease.Seen
		var busy *State
		sent, err := b.change(ctx, b.nonce, func(now lease.Seen, s *State) (err error) {
			seen, busy = now, s
			if s.Lease != nil && s.Lease.Nonce == b.nonce {
				// The answer to the write was lost, and somebody has written on top of it.
				v, b.last = Verdict{}, s
				return errKeep
			}
			if v, err = b.Judge(ctx, s, b.want); err != nil {
				return err
			}
			// What is live now may not be live when the deployment that goes on has ended.
			if v.Do == Go || v.Do == Nothing && s.Lease != nil {
				if v = b.superseded(ctx, s, v); v.Do != Superseded && b.waitsFor(now, s) != nil {
					return errWait
				}
			}
			if v.Do != Go {
				return errNothing
			}
			return b.take(ctx, now, s)
		})
		switch {
		case errors.Is(err, errNothing):
			return v, nil
		case errors.Is(err, errAbsent):
			return v, b.unknown(ctx)
		case !errors.Is(err, errWait):
			b.sent = sent
			return v, err
		}
		if err := b.wait(ctx, seen, busy); err != nil {
			return v, err
		}
	}
}

// errNothing ends a change that has nothing to write.
var errNothing = errors.New("nothing to deploy")

// busy says who deploys, since when, and what ends it.
func (e *Environment) busy(s *State) *diag.Error {
	if s.Lease == nil {
		return diag.New(diag.Busy, "%s: %d runs wait to deploy", e.opt.Name, len(s.Next)).At(e.cell()).Hinted("pipe env show %s", e.opt.Name)
	}
	run := ""
	if s.Lease.Run != "" {
		run = " (" + s.Lease.Run + ")"
	}
	at := ""
	if t, err := time.Parse(time.RFC3339, s.Lease.At); err == nil {
		at = since(t)
	}
	return diag.New(diag.Busy, "%s is being deployed%s%s%s", e.opt.Name, by(s.Lease.By), at, run).At(e.cell()).
		Hinted("it ends when that deployment does, or %d s after its run has died; pipe env show %s", s.Lease.TTL+int64(lease.Grace/time.Second), e.opt.Name)
}

// lease makes this run's lease.
func (b *beginning) lease(n uint64) *lease.Lease {
	return &lease.Lease{
		Nonce: b.nonce, N: n, By: b.opt.Stamp.By, Run: b.opt.Run, At: b.now().Format(time.RFC3339), TTL: int64((b.opt.TTL + time.Second - 1) / time.Second),
	}
}

// take is the write that begins a deployment.
func (b *beginning) take(ctx context.Context, seen lease.Seen, s *State) error {
	w := b.want
	if s.absent && !b.mayCreate() {
		return errAbsent
	}
	if s.Lease != nil && w.Gate != nil { // of a dead run; Judge has not asked
		if err := w.Gate(ctx, s, w); err != nil {
			return err
		}
	}
	if err := b.catchUp(ctx, s, "its run ended without recording the result"); err != nil {
		return err
	}
	s.Epoch++
	s.N++
	s.Epoch = max(s.Epoch, s.N)
	s.Lease, s.Doing = b.lease(s.N), ""
	if w.Kind != KindDeploy {
		s.Doing = w.Kind
	}
	// Its place has the same nonce, and who has seen that for long must not take this for dead.
	s.Lease.Beat = 1 + b.forget(s)
	if b.day != "" {
		s.Probed = b.day
	}
	if w.Hold != nil {
		s.keep(w.Hold, w.Release)
	}
	if w.Gate != nil {
		s.Guard = w.Guard
	}
	if w.Automatic && !w.MayGoBack && w.Commit != "" {
		s.Head = nil // this commit is newer
	}
	s.Asked = nil // whatever was asked for, the environment moves
	b.live, s.Live = s.Live, ID{}
	b.pending = w.Pending(s)
	if err := b.fits(s); err != nil {
		return err
	}
	b.first = w.ready(b.pending)
	if w.First != nil {
		b.first = w.First(w, b.first)
	}
	b.before = map[string]Stage{}
	b.start(s, w, b.first, b.before)
	b.last = s
	return nil
}

// fits refuses a deployment that the state may have no room for: it grows with each stage that begins, and
// at the end by an entry of the history, which is smaller than the stages are.
func (b *beginning) fits(s *State) error {
	full := *s
	full.Stages = maps.Clone(s.Stages)
	b.start(&full, b.want, b.pending, map[string]Stage{})
	text, err := canon.Marshal(&full)
	if err == nil && len(text) > store.MaxSmall/2 {
		err = diag.New(diag.Policy, "the state of environment %s would be larger than %d MiB", b.opt.Name, store.MaxSmall/2>>20).
			At(b.cell()).Hinted("name fewer inputs: a directory is one input, however many files it has")
	}
	return err
}

// catchUp writes what is missing in the history: the newest entry, if its run could not, and that
// of a deployment whose run has died, or was ended as why says.
func (e *Environment) catchUp(ctx context.Context, s *State, why string) error {
	switch {
	case s.Last != nil && s.Logged < s.Last.N:
		x, err := e.log(ctx, s.Last)
		if err != nil {
			return err
		}
		s.Last, s.Logged = x, x.N
	case s.Last == nil && s.N == 0:
		// A new environment, or one whose state was lost: the history goes on where it ended.
		if err := e.follow(ctx, s); err != nil {
			return err
		}
	}
	if s.Lease != nil {
		if err := e.bury(ctx, s, why); err != nil {
			return err
		}
	}
	// What no lease stands behind is nobody's any more.
	for name, st := range s.Stages {
		if st.Status == action.StatusDeploying {
			st.Status, st.At = action.StatusUnknown, e.now()
			s.Stages[name] = st
		}
	}
	return nil
}

// bury writes the history's entry of a deployment that its run did not end. When the run has
// written one, that stands: it says how the command ended, and the environment could not be told.
func (e *Environment) bury(ctx context.Context, s *State, why string) (err error) {
	x := e.unfinished(s)
	x.Error = why
	if x.Prev, err = s.lastDigest(); err != nil {
		return err
	}
	if s.Last, err = e.log(ctx, x); err != nil {
		return err
	}
	s.free()
	// Numbers above this one are taken when the state is older than the history: a copy that was put back.
	return e.follow(ctx, s)
}

// unfinished describes the deployment of the lease as far as the state knows it.
func (e *Environment) unfinished(s *State) *Entry {
	l := s.Lease
	at, err := time.Parse(time.RFC3339, l.At)
	if err != nil {
		at = e.now()
	}
	x := &Entry{
		Schema: EntrySchema, Project: e.opt.Project, Env: e.opt.Name, N: l.N, Kind: cmp.Or(s.Doing, KindDeploy), Status: EndUnknown, By: l.By, Run: l.Run, At: at.UTC(), Ended: e.now(),
		Stages: map[string]Attempt{},
	}
	for name, st := range s.Stages {
		if st.N != l.N {
			continue
		}
		x.Release, x.Commit, x.Dirty, x.Override = st.Release, st.Commit, st.Dirty, st.Override
		status := st.now()
		x.Stages[name] = Attempt{Do: "run", Status: status, Was: st.Was, Key: st.Key, Commit: st.Commit, Values: st.Values, Outside: st.Outside}
	}
	return x
}

// free gives the environment to whoever waits.
func (s *State) free() {
	s.Lease, s.Doing = nil, ""
	for i := range s.Next {
		// From now on it is their turn: a beat for each, as whoever has seen them wait for long
		// would take them for dead.
		s.Next[i].Renew()
	}
}

// lastDigest names the newest entry of the history for the next one.
func (s *State) lastDigest() (digest.Digest, error) {
	if s.Last == nil {
		return digest.Digest{}, nil
	}
	return s.Last.digest()
}

// start writes that stages are being deployed, or taken down, and notes what was said of them before.
func (e *Environment) start(s *State, w *Want, names []string, before map[string]Stage) {
	for _, name := range names {
		old := s.Stages[name]
		if old.N == s.N && old.Status == action.StatusDeploying {
			continue // written before, by a write whose answer was lost
		}
		before[name] = old
		s.Stages[name] = w.stage(w.Stages[name], s.N, old, e.opt.Stamp.By, e.now())
	}
}

// stage is what a state says of a stage whose deployment begins.
func (w *Want) stage(a Aim, n uint64, old Stage, by string, at time.Time) Stage {
	if w.Kind == KindDestroy {
		// Until it is taken down, it is what it was.
		old.Status, old.N, old.By, old.At = action.StatusDeploying, n, by, at
		return old
	}
	commit := a.Commit
	if commit == "" {
		commit = w.Commit
	}
	p := &a.Part
	return Stage{
		Status: action.StatusDeploying, Key: a.Key, Was: old.Key, Release: w.Release, N: n, By: by, At: at,
		Commit: commit, Committed: w.Committed.UTC().Truncate(time.Second), Dirty: w.Dirty, Override: w.Override, Values: a.Values, Outside: a.Outside,
		Closure: p.Closure, Size: p.Size, Files: p.Files, Dir: p.Dir, Local: p.Local, Deps: p.Deps, Asked: p.Asked, Artifacts: p.Artifacts, rest: old.rest,
	}
}
