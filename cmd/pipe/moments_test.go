//go:build !windows

package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

var killSeed = flag.Uint64("kill.seed", 0, "seed of the moments at which pipe is killed; 0: a new one")

// kills is how often each of the tests kills pipe: 20 times, or PIPE_SOAK times as often.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("PIPE_SOAK")); err == nil {
		return 20 * n
	}
	return 20
}

// moments is a source of random moments within a run.
type moments struct {
	rand   *rand.Rand
	run    time.Duration // how long one takes that nobody kills
	killed int
}

// measured times three runs; the middle one is what the moments are spread over.
func measured(t *testing.T, run func()) *moments {
	t.Helper()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	m := &moments{rand: rand.New(rand.NewPCG(seed, 0))}
	var took []time.Duration
	for range 3 {
		began := time.Now()
		run()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	m.run = took[1]
	t.Logf("-kill.seed=%d, %s for a run", seed, m.run.Round(time.Millisecond))
	return m
}

// kill runs pipe and kills it at the next moment.
func (m *moments) kill(p *place, args ...string) {
	p.t.Helper()
	after := time.Duration(m.rand.Int64N(int64(m.run)))
	if p.kill(after, args...) {
		m.killed++
		return
	}
	m.run = (m.run + after) / 2 // it was done by then: the machine is quicker than when it was measured
}

// end fails when too few runs were killed in their middle: then little was tested.
func (m *moments) end(t *testing.T, reps int) {
	t.Helper()
	t.Logf("%d of %d runs were killed before their end", m.killed, reps)
	if reps >= 5 && m.killed < max(2, reps/4) {
		t.Errorf("%d of %d runs were killed in their middle", m.killed, reps)
	}
}
