package pipe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/event"
)

// Matrix is the stages that Repro would run, as a matrix of jobs on GitHub.
type Matrix struct {
	Include []MatrixJob `json:"include"` // by waves, and by name within one
}

// MatrixJob is one job of a matrix.
type MatrixJob struct {
	Stage string `json:"stage"` // the stage; several with a space between them where one wave has more than 256
	Wave  int    `json:"wave"`  // from 1; a stage is in a later one than all that it needs
}

// maxJobs is how many jobs one matrix of GitHub may have, see
// https://docs.github.com/en/actions/reference/limits
const maxJobs = 256

// Matrix returns the stages that must run, and those that may have to: what they need must run first. Deploy
// stages are left out, and so are stages that run always: nothing keeps what they make, so pipe ci
// runs them in any case. Where GitHub asks for outputs of the step (GITHUB_OUTPUT), it writes matrix-1, matrix-2 and
// so on, waves and any.
func (p *Project) Matrix(ctx context.Context, opt ReproOptions) (*Matrix, error) {
	opt.NoDeploy, opt.silent = true, true
	r, err := p.Plan(ctx, opt)
	if err != nil {
		return nil, err
	}
	runs := map[string]bool{}
	for _, s := range r.Stages {
		runs[s.Stage] = s.Verb == event.Run || s.Verb == event.Wait
	}
	waves := p.inWaves(func(s *spec.Stage) bool { return runs[s.Name] })
	m := &Matrix{Include: []MatrixJob{}}
	for i, names := range waves {
		if len(names) > maxJobs {
			p.note(fmt.Sprintf("wave %d has %d stages, and GitHub runs at most %d jobs of a matrix: some jobs run several stages", i+1, len(names), maxJobs))
		}
		for _, names := range grouped(names, maxJobs) {
			m.Include = append(m.Include, MatrixJob{Stage: strings.Join(names, " "), Wave: i + 1})
		}
	}
	file := p.variable("GITHUB_OUTPUT")
	if file == "" {
		return m, nil
	}
	all, err := m.outputs(len(waves))
	if err != nil {
		return nil, err
	}
	return m, ci.Append(file, ci.Outputs(all))
}

// inWaves sorts the stages that take part into waves. One that does not take part is passed through: what needs it
// comes after what it needs.
func (p *Project) inWaves(part func(*spec.Stage) bool) (waves [][]string) {
	g := p.spec.Edges()
	order, _ := g.Sort()
	wave := make([]int, g.Len()) // how many waves end with the stage or before it
	for _, i := range order {
		for _, u := range g.Up(i) {
			wave[i] = max(wave[i], wave[u])
		}
		s := &p.spec.Stages[i]
		if s.Deploy || s.Input || s.AlwaysChanged || s.Frozen || !part(s) {
			continue
		}
		if wave[i]++; wave[i] > len(waves) {
			waves = append(waves, nil)
		}
		waves[wave[i]-1] = append(waves[wave[i]-1], s.Name)
	}
	for _, names := range waves {
		slices.Sort(names)
	}
	return waves
}

// grouped spreads names evenly over at most n groups.
func grouped(names []string, n int) [][]string {
	n = min(n, len(names))
	groups := make([][]string, 0, n)
	for i := range n {
		groups = append(groups, names[i*len(names)/n:(i+1)*len(names)/n])
	}
	return groups
}

// outputs are those of the step, for a workflow that has a job for each wave.
func (m *Matrix) outputs(waves int) ([]ci.Output, error) {
	var all []ci.Output
	for n := range waves {
		var one Matrix
		for _, j := range m.Include {
			if j.Wave == n+1 {
				one.Include = append(one.Include, j)
			}
		}
		b, err := json.Marshal(one)
		if err != nil {
			return nil, err
		}
		all = append(all, ci.Output{Name: "matrix-" + strconv.Itoa(n+1), Value: string(b)})
	}
	return append(all, ci.Output{Name: "waves", Value: strconv.Itoa(waves)}, ci.Output{Name: "any", Value: strconv.FormatBool(waves > 0)}), nil
}
