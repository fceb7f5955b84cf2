package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// metricsCmd makes pipe metrics.
func (a *app) metricsCmd() *cobra.Command {
	c := command("metrics", "Show and compare metrics",
		`Show what stages measured, and compare it between commits. Metrics are the files that
stages list under metrics: in pipe.yaml, as in DVC, and those that metrics: lists at the
top. JSON, YAML, TOML and CSV files are read.

The values of a commit are those that its pipe.lock names, fetched from the cache or the
remote, or from git if the output has cache: false.`,
		"pipe metrics show\npipe metrics diff main", group, func(c *cobra.Command, _ []string) error { return c.Help() })
	c.AddCommand(a.metricsShowCmd(), a.metricsDiffCmd())
	return c
}

// metricsShowCmd makes pipe metrics show.
func (a *app) metricsShowCmd() *cobra.Command {
	markdown := false
	c := command("show [REV] [FILE|STAGE]...", "Print the metrics of the workspace or a commit",
		`Print the metrics of the workspace, or of a commit. Name files or stages to see only
these; any file in one of the formats can be named, also one inside an output. Of a
stage without metrics, all outputs in these formats are shown.

Keys of maps, numbers of lists and numbers of rows in tables, from 0, are joined by dots.`,
		"pipe metrics show\npipe metrics show v1.2\npipe metrics show HEAD~1 evaluate", arguments(0, -1, ""), func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(p *pipe.Project) error {
				rev, targets := p.RevFirst(c.Context(), args)
				m, err := p.Metrics(c.Context(), rev, pipe.MetricsOptions{Targets: targets})
				if m == nil || err != nil && a.json {
					return err
				}
				return errors.Join(a.answer("pipe.metrics.show/1", m, func(w io.Writer) {
					rows := [][]string{{"Path", "Metric", "Value"}}
					for _, v := range m.Values {
						rows = append(rows, []string{v.Path, v.Name, v.Value.String()})
					}
					a.printMetrics(w, rows, m.Absent, markdown)
				}), err)
			})
		})
	c.Flags().BoolVar(&markdown, "md", false, "print a table in Markdown")
	return c
}

// metricsDiffCmd makes pipe metrics diff.
func (a *app) metricsDiffCmd() *cobra.Command {
	var opt pipe.MetricsOptions
	markdown := false
	c := command("diff [REV] [REV]", "Compare metrics between commits",
		`Compare the metrics of two commits. Without the second REV, compare with the
workspace; without any, compare HEAD with the workspace. Numbers are compared in
decimal, exactly as the files have them.`,
		"pipe metrics diff\npipe metrics diff v1.2 v1.3 --all\npipe metrics diff main --targets eval.json", arguments(0, 2, ""), func(c *cobra.Command, args []string) error {
			revs := append(args, "", "")
			return a.with(c.Context(), func(p *pipe.Project) error {
				d, err := p.DiffMetrics(c.Context(), revs[0], revs[1], opt)
				if d == nil || err != nil && a.json {
					return err
				}
				return errors.Join(a.answer("pipe.metrics.diff/1", d, func(w io.Writer) {
					a.printMetrics(w, changeRows(d), d.Absent, markdown)
				}), err)
			})
		})
	c.Flags().StringSliceVar(&opt.Targets, "targets", nil, "compare only these files or stages, separated by commas")
	c.Flags().BoolVar(&opt.All, "all", false, "print unchanged values too")
	c.Flags().BoolVar(&markdown, "md", false, "print a table in Markdown")
	return c
}

// changeRows are the rows of a comparison, with a head.
func changeRows(d *pipe.MetricsDiff) [][]string {
	to := d.New
	if to == "" {
		to = "workspace"
	}
	rows := [][]string{{"Path", "Metric", d.Old, to, "Change"}}
	for _, x := range d.Changes {
		change := string(x.Change)
		if change == "" {
			change = "-"
		}
		rows = append(rows, []string{x.Path, x.Name, sideText(x.Old), sideText(x.New), change})
	}
	return rows
}

// sideText is a value on one side, - if there is none.
func sideText(v *pipe.MetricValue) string {
	if v == nil {
		return "-"
	}
	return v.String()
}

// printMetrics prints a table, unless it has nothing but its head. What is not there is said on
// standard error, so that the table can be piped on.
func (a *app) printMetrics(w io.Writer, rows [][]string, absent []pipe.AbsentMetric, markdown bool) {
	switch {
	case len(rows) == 1:
	case markdown:
		view.MarkdownTable(w, rows)
	default:
		view.Table(w, rows)
	}
	for _, x := range absent {
		where := "in the workspace"
		if x.Commit != "" {
			where = "at " + x.Commit
		}
		view.Print(a.Err, "%s: not there %s: %s\n", x.Path, where, x.Why)
	}
}
