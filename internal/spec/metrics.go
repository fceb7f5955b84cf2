package spec

import (
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// OutSort says which list of its stage names an out. It is in no key: what a stage makes is the
// same, whoever looks at it.
type OutSort uint8

// The sorts of outs.
const (
	PlainOut  OutSort = iota // in outs
	MetricOut                // in metrics: pipe metrics shows what is in it
	PlotOut                  // in plots
)

// String returns the key of the list.
func (s OutSort) String() string { return [...]string{"outs", "metrics", "plots"}[s] }

// OutSorts returns the sorts of outs, in the order in which their lists are written.
func OutSorts() []OutSort { return []OutSort{PlainOut, MetricOut, PlotOut} }

// plotFields are by what DVC draws a plot. pipe draws none: they are taken, and say nothing, so
// that a stage of a dvc.yaml means the same here.
var plotFields = []string{"x", "y", "x_label", "y_label", "title", "template", "header"}

// outsNode returns the first list of outs that has any, faulty ones too; nil: the stage has none.
func (s *stageReader) outsNode() *yamldoc.Node {
	for _, p := range s.node.Pairs {
		isList := slices.ContainsFunc(OutSorts(), func(sort OutSort) bool { return sort.String() == p.Key })
		if isList && len(p.Value.Items) > 0 {
			return p.Value
		}
	}
	return nil
}

// outs returns the reader of a list of outs.
func outs(sort OutSort) func(*stageReader, *yamldoc.Node) {
	return func(s *stageReader, n *yamldoc.Node) {
		s.each(n, sort.String(), func(n *yamldoc.Node) { s.out(n, sort) })
	}
}

// drawn returns the options of a plot that several drawings share; in DVC each has a map of its own.
func drawn(n *yamldoc.Node) (options []yamldoc.Pair) {
	for _, it := range n.Items {
		options = append(options, it.Pairs...)
	}
	return options
}

// metricFiles reads the files that pipe metrics shows beside the metrics of stages. Each is inside an
// output, or git keeps it.
func (r *reader) metricFiles(n *yamldoc.Node) (files []repopath.Path) {
	if n.Kind != yamldoc.List {
		_ = r.fault(n, "metrics: must be a list of files, not %s", shown(n)).Hinted("write metrics: [metrics.json]")
		return nil
	}
	for _, it := range n.Items {
		p, slash, ok := r.path(it, repopath.Root, "metrics")
		switch {
		case !ok:
		case slash || repopath.HasMeta(it.Value):
			r.fault(it, "metrics: %s must be a file", it.Value)
		case inPipe(p):
			r.fault(it, "metrics %s: .pipe is reserved for pipe", it.Value)
		case slices.Contains(files, p):
			r.fault(it, "metrics: %s is listed twice", p)
		default:
			files = append(files, p)
		}
	}
	slices.SortFunc(files, func(a, b repopath.Path) int { return strings.Compare(string(a), string(b)) })
	return files
}
