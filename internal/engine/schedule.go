package engine

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// flushEvery bounds how many finished stages a crash makes the next run look up
// in the records again; writing the lock after each of many stages is quadratic.
const flushEvery = 500 * time.Millisecond

// schedule hands out the stages that are ready, depth first: as far as workers are free, a
// chain of stages is finished before the next one is begun, so that an interruption leaves
// more of them complete. Only the collector touches it.
type schedule struct {
	order   []int // stages, each after what it needs
	rank    []int // the place of each stage in order
	waiting []int // how many selected stages each still waits for
	ready   ranks
	mutex   map[string]bool // held
}

// ranks is a heap of places in the order: the earliest first, which is depth first.
type ranks []int

func (h ranks) Len() int           { return len(h) }
func (h ranks) Less(i, j int) bool { return h[i] < h[j] }
func (h ranks) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *ranks) Push(x any) { *h = append(*h, x.(int)) }

// Pop implements heap.Interface.
func (h *ranks) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// schedule counts for each selected stage what it waits for. A stage that is not selected is
// not waited for: its outputs are taken from the lock. One that is left out waits for nobody. With Single nobody waits, and the stages
// come in the order that the user gave.
func (r *run) schedule() *schedule {
	order, _ := r.Graph.Sort() // spec has refused cycles
	if r.opt.Single {
		place := func(i int) int { return slices.Index(r.opt.Targets, r.Project.Stages[i].Name) }
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(place(a), place(b)) })
	}
	s := &schedule{order: order, rank: make([]int, len(order)), waiting: make([]int, len(order)), mutex: map[string]bool{}}
	for place, i := range order {
		s.rank[i] = place
		if !r.selected[i] {
			continue
		}
		for _, u := range r.Graph.Up(i) {
			if r.selected[u] && !r.opt.Single && r.omitted[i] == nil {
				s.waiting[i]++
			}
		}
		if s.waiting[i] == 0 {
			heap.Push(&s.ready, place)
		}
	}
	return s
}

// next takes the first ready stage whose mutex is free; false when there is none. Those whose
// mutex is held are set aside and put back: they keep their rank.
func (r *run) next(s *schedule) (int, bool) {
	var held []int
	defer func() {
		for _, place := range held {
			heap.Push(&s.ready, place)
		}
	}()
	for s.ready.Len() > 0 {
		place := heap.Pop(&s.ready).(int)
		i := s.order[place]
		m := r.Project.Stages[i].Mutex
		if m == "" || !s.mutex[m] {
			s.mutex[m] = m != ""
			return i, true
		}
		held = append(held, place)
	}
	return 0, false
}

// done frees the stages that waited for i. It is not called for a stage that failed, so what
// depends on that one never gets ready and is reported as not run. A deploy stage is done twice:
// once it is parked, the deploy stages that need it can be decided; builds and checks wait until
// it is deployed. A dry run deploys nothing, and decides all.
func (r *run) done(s *schedule, i int) {
	st := &r.states[i]
	first, second := st.parked && !st.Done, st.told
	st.told = first
	for _, d := range r.Graph.Down(i) {
		deploys := r.Project.Stages[d].Deploy
		if !r.selected[d] || r.opt.Single || first && !deploys || second && deploys {
			continue
		}
		if s.waiting[d]--; s.waiting[d] == 0 {
			heap.Push(&s.ready, s.rank[d])
		}
	}
}

// all runs every selected stage: workers decide and run, and this goroutine alone collects, so
// that the lock does not depend on who was first.
//
// After a failure, unless KeepGoing, and when ctx ends, no stage is started any more. Those
// that run are waited for: no worker is left when all returns. The lock is written in every
// case, because what is done is done.
func (r *run) all(ctx context.Context) (*Result, error) {
	r.prepare()
	s := r.schedule()
	jobs := max(r.opt.Jobs, 1)
	if r.opt.Single {
		jobs = 1
	}
	group, _ := par.NewGroup(ctx, 0)
	// There is room for all that run at once, so that no worker ever blocks.
	results := make(chan int, jobs)
	var failures []error
	running := 0
	for {
		for running < jobs && ctx.Err() == nil && (len(failures) == 0 || r.opt.KeepGoing) {
			i, ok := r.next(s)
			if !ok {
				break
			}
			running++
			group.Go(func() error {
				r.stage(ctx, i)
				results <- i
				return nil
			})
		}
		if running == 0 {
			if len(r.parked()) == 0 || ctx.Err() != nil || r.opt.Dry || len(failures) > 0 && !r.opt.KeepGoing {
				break
			}
			if err := r.deploy(ctx, s); err != nil {
				failures = append(failures, err)
			}
			continue
		}
		i, err := r.await(results)
		if err != nil {
			failures = append(failures, err)
		}
		running--
		s.mutex[r.Project.Stages[i].Mutex] = false
		if err := r.collect(i); err != nil {
			failures = append(failures, err)
			continue
		}
		r.done(s, i)
	}
	return r.conclude(ctx, s, errors.Join(append(failures, group.Wait())...))
}

// conclude ends a run in which err went wrong: it writes down what is done, and says what became
// of the stages.
func (r *run) conclude(ctx context.Context, s *schedule, err error) (*Result, error) {
	if ferr := r.flush(); ferr != nil {
		err = errors.Join(err, ferr)
	}
	if err == nil && !r.opt.Dry {
		err = r.settledLock(ctx)
	}
	if err == nil && !r.opt.Dry {
		err = r.see(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = interrupted(cause, err)
	}
	result := r.result(s)
	if result.Deployment = r.deployment; r.opt.Dry && len(r.parked()) > 0 {
		result.Work, result.Turned, result.Refused = r.foresee(ctx)
	}
	return result, err
}

// await returns the next stage that has ended. While it waits for long, as for a command of
// hours, the lock names what was made before: a killed run's outputs are not garbage to gc.
func (r *run) await(results <-chan int) (i int, err error) {
	quiet := time.NewTimer(flushEvery)
	defer quiet.Stop()
	select {
	case i := <-results:
		return i, nil
	case <-quiet.C:
		err = r.flush()
		return <-results, err
	}
}

// interrupted puts what ended the run in place of the errors that came of it.
func interrupted(cause, err error) error {
	if err == nil || errors.Is(err, cause) {
		return shell.Interrupted(cause)
	}
	return errors.Join(shell.Interrupted(cause), err)
}

// prepare drops what the lock must not hold and remembers what it says of each stage. It runs
// before the first worker, so that a stage's index and locked need no protection.
func (r *run) prepare() {
	r.outs, r.kept = r.index(), r.keep()
	// What a merge left in the lock goes with the next run, as stages do that are gone.
	if r.lock.Keep(func(name string) bool { s := r.Project.Stage(name); return s != nil && !s.Deploy }) || len(r.lock.Absent) > 0 {
		r.dirty = true
	}
	// A lock comes from outside: it never says where something is written.
	declared := func(l *lockfile.Stage) bool { return l != nil && Fits(r.Project.Stage(l.Name), l.Outs) }
	for i := range r.states {
		st := &r.states[i]
		st.Stage, st.index = &r.Project.Stages[i], i
		l := r.lock.Stage(st.Stage.Name)
		if l != nil {
			before := *l
			st.before, st.Old = &before, l.Outs
		}
		if declared(l) {
			st.locked = st.before
			if !r.selected[i] || r.opt.Single {
				st.Outs = l.Outs
			}
		}
	}
	r.flushed = r.Now()
}

// collect takes over what a worker found. A failed stage may have a new block, too: it was
// restored, but could not be published.
func (r *run) collect(i int) error {
	st := &r.states[i]
	if l := st.newLock; l != nil {
		r.settleBlock(i, l)
	}
	if st.Err != nil {
		return st.Err
	}
	st.Done = !st.parked || r.opt.Dry
	r.hasBeenTold(i)
	if r.dirty && r.Now().Sub(r.flushed) > flushEvery {
		return r.flush()
	}
	return nil
}

// flush writes pipe.lock if it differs from the file. The records that the lock names exist by
// now, so a crash before the write only makes the next run look them up again.
func (r *run) flush() error {
	if !r.dirty || r.opt.Dry {
		return nil
	}
	r.flushed = r.Now()
	err := r.SaveLock(r.lock)
	r.dirty = err != nil
	return err
}

// result lists the selected stages in the order in which they could run, and counts how they
// ended.
func (r *run) result(s *schedule) *Result {
	res := &Result{}
	failed := map[int]string{} // stages that failed, or did not run because of one, and its name
	for _, i := range s.order {
		if !r.selected[i] {
			continue
		}
		r.blocked(i, failed)
		o := r.states[i].Outcome
		res.Stages = append(res.Stages, o)
		c := &res.Counts
		switch {
		case o.Err != nil:
			c.Failed++
		case !o.Done:
			c.Not++
		case o.Verdict.Do == event.Run || o.Verdict.Do == event.Wait:
			c.Ran++
		case o.Verdict.Do == event.Restore:
			c.Restored++
		case o.Verdict.Do == event.Add:
			c.Added++
		case o.Verdict.Do == event.Omit:
			c.Omitted++
		default:
			c.Skipped++
		}
	}
	return res
}

// blocked says of a stage that did not run which stage that it needs has failed. One that
// nothing kept from running, after a failure without KeepGoing or an interrupt, has no verdict.
func (r *run) blocked(i int, failed map[int]string) {
	st := &r.states[i]
	if st.Err != nil {
		failed[i] = st.Stage.Name
	}
	if st.Err != nil || st.Done {
		return
	}
	for _, u := range r.Graph.Up(i) {
		if name, ok := failed[u]; ok {
			failed[i] = name
			st.Verdict = action.Verdict{Do: event.Blocked, Because: []event.Reason{{Code: event.NeedFailed, Path: name}}}
			return
		}
	}
}
