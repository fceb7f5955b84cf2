package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/metrics"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
)

// Metrics are the values of a commit or of the workspace.
type Metrics struct {
	Commit string         `json:"commit,omitempty"` // as it was given; empty: the workspace
	Values []Metric       `json:"values"`           // by file, in the file's order
	Absent []AbsentMetric `json:"absent,omitempty"` // files that are not there
}

// Metric is one value of a file.
type Metric struct {
	Path  string      `json:"path"`            // of the file, in the project
	Stage string      `json:"stage,omitempty"` // that makes it; empty: none
	Name  string      `json:"name"`            // dotted: keys of maps, numbers of lists and rows
	Value MetricValue `json:"value"`           // in JSON what the file has, a number exactly
}

// MetricValue is a value as its file has it.
type MetricValue struct{ value metrics.Value }

// String returns the value as it is written in the file, without quotes.
func (v MetricValue) String() string { return v.value.Text }

// MarshalJSON implements json.Marshaler.
func (v MetricValue) MarshalJSON() ([]byte, error) { return v.value.MarshalJSON() }

// MetricChange is a value on two sides.
type MetricChange struct {
	Path   string       `json:"path"`             // of the file, in the project
	Stage  string       `json:"stage,omitempty"`  // that makes it
	Name   string       `json:"name"`             // dotted
	Old    *MetricValue `json:"old,omitempty"`    // nil: that side has none
	New    *MetricValue `json:"new,omitempty"`    // likewise
	Change json.Number  `json:"change,omitempty"` // New - Old in decimal, where both are numbers
}

// AbsentMetric is a file that one side does not have.
type AbsentMetric struct {
	Path   string `json:"path"`             // of the file, in the project
	Commit string `json:"commit,omitempty"` // empty: the workspace
	Why    string `json:"why"`              // for people
}

// MetricsDiff compares metrics.
type MetricsDiff struct {
	Old     string         `json:"old"`              // as it was given
	New     string         `json:"new,omitempty"`    // empty: the workspace
	Changes []MetricChange `json:"changes"`          // by file, in the newer file's order
	Absent  []AbsentMetric `json:"absent,omitempty"` // files that a side does not have
}

// MetricsOptions say what Metrics and DiffMetrics read.
type MetricsOptions struct {
	Targets []string // stages, or files as written in the directory where pipe runs; none: all metrics
	All     bool     // DiffMetrics: unchanged values, too
}

// Metrics reads the metrics of a commit, by its pipe.lock, or of the workspace; rev is empty then. A
// file that the workspace lacks is the one that pipe.lock names. A file whose bytes are nowhere, or
// that cannot be read, is an error beside the values of the others.
func (p *Project) Metrics(ctx context.Context, rev string, opt MetricsOptions) (m *Metrics, err error) {
	read, err := p.measure(ctx, opt.Targets, rev)
	if read == nil {
		return nil, err
	}
	m = &Metrics{Commit: rev, Values: []Metric{}, Absent: read[0].absent}
	for _, f := range read[0].files {
		for _, v := range f.values {
			m.Values = append(m.Values, Metric{f.Path, f.Stage, v.Name, MetricValue{v}})
		}
	}
	return m, err
}

// DiffMetrics compares the metrics of a commit, HEAD if from is empty, with those of another, the
// workspace if to is empty.
func (p *Project) DiffMetrics(ctx context.Context, from, to string, opt MetricsOptions) (d *MetricsDiff, err error) {
	if from == "" {
		from = "HEAD"
	}
	read, err := p.measure(ctx, opt.Targets, from, to)
	if read == nil {
		return nil, err
	}
	was, now := read[0], read[1]
	d = &MetricsDiff{Old: from, New: to, Changes: []MetricChange{}, Absent: slices.Concat(was.absent, now.absent)}
	for _, f := range joined(was.files, now.files) {
		old, was := was.file(f.Path)
		new, is := now.file(f.Path)
		for i, has := range []bool{was, is} {
			if !has && !read[i].lacks(f.Path) {
				d.Absent = append(d.Absent, AbsentMetric{f.Path, read[i].rev, "no metrics file there"})
			}
		}
		for _, c := range metrics.Diff(old.values, new.values) {
			if opt.All || !c.Same() {
				d.Changes = append(d.Changes, MetricChange{f.Path, f.Stage, c.Name, valueOf(c.Old), valueOf(c.New), json.Number(c.By)})
			}
		}
	}
	return d, err
}

func valueOf(v *metrics.Value) *MetricValue {
	if v == nil {
		return nil
	}
	return &MetricValue{*v}
}

// joined returns the files of both sides, each once, sorted by path.
func joined(was, now []metricsFile) []metricsFile {
	all := slices.Concat(now, was)
	slices.SortStableFunc(all, func(a, b metricsFile) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(all, func(a, b metricsFile) bool { return a.Path == b.Path })
}

// RevFirst takes a commit from the beginning of arguments that may name one, and says whether it did: a
// stage, an output or a file goes before a commit of the same name.
func (p *Project) RevFirst(ctx context.Context, args []string) (rev string, targets []string) {
	if len(args) == 0 || p.repo == nil {
		return "", args
	}
	if p.spec.Stage(args[0]) != nil {
		return "", args
	}
	if at, err := p.work.Inside(p.opt.Dir, args[0]); err == nil {
		_, err := p.work.Kind(at)
		if s, _ := inside(p.spec, at); s != nil || err == nil {
			return "", args
		}
	}
	if _, err := p.repo.Resolve(ctx, args[0]); err != nil {
		return "", args
	}
	return args[0], args[1:]
}

// measure reads the metrics of several states. What some of them lack is an error only where none
// has it.
func (p *Project) measure(ctx context.Context, targets []string, revs ...string) (all []*measured, err error) {
	unlock, err := p.useCache(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	var failed error
	meant := map[string]bool{}
	for _, rev := range revs {
		m, err := p.measured(ctx, rev)
		if err != nil {
			return nil, err
		}
		err = m.read(ctx, targets, meant)
		if errors.As(err, new(*transfer.Missing)) || diag.Is(err, diag.Usage) || diag.Is(err, diag.Integrity) {
			failed, err = errors.Join(failed, err), nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for _, t := range targets {
		if !meant[t] {
			return nil, diag.New(diag.NotFound, "no stage, output, file or commit named %q", t).Hinted("pipe stage list shows the stages")
		}
	}
	if len(meant) == 0 && len(targets) == 0 {
		return nil, diag.New(diag.NotFound, "no stage has metrics").At(spec.FileName).
			Hinted("write metrics: [FILE] in the stage that creates the file, or name an output: pipe metrics show FILE")
	}
	return all, transfer.Explained(failed)
}
