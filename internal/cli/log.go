package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// logCmd makes pipe log. The log goes to stdout as the command printed it, and whose run it was to
// stderr, so that a redirected log is the log alone.
func (a *app) logCmd() *cobra.Command {
	var opt pipe.LogOptions
	limit := 20
	c := command("log [STAGE|OUT]", "Show what a stage printed",
		`Show what a stage's command printed, who ran it, where, when, and for how long.
Without a stage, list the runs on this machine, newest first. With --env, show only
deployments to that environment.

Every run on this machine is kept for 30 days in .pipe/runs, failed and interrupted
ones and deployments too. If the stage has not run here, the log of the run that
pipe.lock names is shown, from the cache or the remote.

The log goes to stdout, everything else to stderr.`,
		"pipe log\npipe log build\npipe log build --run 2\npipe log build --commit v1.2\npipe log --hash 1e9ff5572e47", arguments(0, 1, ""), func(c *cobra.Command, args []string) error {
			stage := strings.Join(args, "")
			if err := atMostOne(c, "run", "commit", "hash"); err != nil {
				return err
			}
			if c.Flags().Changed("run") && opt.Run < 1 {
				return diag.New(diag.Usage, "--run must be 1 or more").Hinted("pipe log --run 1")
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				if stage == "" && opt == (pipe.LogOptions{}) {
					return a.listRuns(p, limit)
				}
				opt.Env = a.env
				l, err := p.Log(c.Context(), stage, opt)
				if err != nil {
					return err
				}
				if !a.json && !a.quiet {
					printRun(a.Err, &l.Run, l.Source)
				}
				return a.answer("pipe.log/1", l, func(w io.Writer) { view.Log(w, l.Text, l.Source == "machine") })
			})
		})
	f := c.Flags()
	f.IntVar(&opt.Run, "run", 0, "the run with this number on this machine; 1 is the newest")
	f.StringVar(&opt.Commit, "commit", "", "the run that pipe.lock in this commit names")
	f.StringVar(&opt.Hash, "hash", "", "the run with this key, output or log (a prefix is enough)")
	f.IntVarP(&limit, "limit", "n", limit, "without a stage: list at most this many runs")
	return c
}

// atMostOne refuses flags that contradict one another.
func atMostOne(c *cobra.Command, names ...string) error {
	given := ""
	for _, n := range names {
		f := c.Flags().Lookup(n)
		switch {
		case !f.Changed:
		case given != "":
			return diag.New(diag.Usage, "--%s and --%s contradict each other", given, n).Hinted("%s --help", c.CommandPath())
		default:
			given = n
		}
	}
	return nil
}

// listRuns prints a table. Its first column is what --run takes.
func (a *app) listRuns(p *pipe.Project, limit int) error {
	if limit < 1 {
		return diag.New(diag.Usage, "--limit must be 1 or more").Hinted("pipe log --limit 20")
	}
	runs, err := p.Runs(limit, a.env)
	if err != nil {
		return err
	}
	return a.answer("pipe.runs/1", runs, func(w io.Writer) {
		if len(runs) == 0 {
			view.Print(a.Err, "no runs on this machine in the last 30 days; pipe log STAGE shows the run that pipe.lock names\n")
			return
		}
		rows := [][]string{{"RUN", "STAGE", "STATUS", "STARTED", "TOOK", "BY", "WHAT"}}
		for i := range runs {
			r := &runs[i]
			what := r.Kind
			switch {
			case r.Kind == "undeploy":
				what += " from " + r.Env
			case r.Env != "":
				what += " to " + r.Env
			}
			what += view.Attempts(r.Attempts)
			rows = append(rows, []string{strconv.Itoa(i + 1), r.Stage, statusText(r), r.At.Local().Format("2006-01-02 15:04:05"), took(r), r.By, what})
		}
		view.Table(w, rows)
	})
}

// statusText is how a run ended, with the command's exit code.
func statusText(r *pipe.Run) string {
	if r.Status == "failed" && r.Exit > 0 {
		return fmt.Sprintf("failed (%d)", r.Exit)
	}
	return r.Status
}

// took is how long a run took; nobody knows that of one that was killed.
func took(r *pipe.Run) string {
	if r.Status == "killed" {
		return "-"
	}
	return view.Seconds(r.Seconds)
}

// printRun says whose run it was.
func printRun(w io.Writer, r *pipe.Run, source string) {
	text := r.Status
	switch {
	case r.Status == "failed" && r.Exit > 0:
		text += fmt.Sprintf(", exit code %d", r.Exit)
	case r.Error != "":
		text += ": " + strings.TrimPrefix(r.Error, r.Stage+": ")
	}
	view.Print(w, "%s: %s%s\n", stageText(r), text, view.Attempts(r.Attempts))
	printWho(w, r)
	if !r.Key.IsZero() {
		view.Print(w, "  key %s\n", keyText(r))
	}
	from := map[string]string{"machine": "this machine's runs", "cache": "the record in the cache", "remote": "the record in the remote"}[source]
	switch {
	case r.Incomplete:
		view.Print(w, "  from %s; some of the log could not be written\n", from)
	case r.Log.IsZero() && r.Status != "running" && r.Status != "killed":
		view.Print(w, "  from %s; the command printed nothing\n", from)
	default:
		view.Print(w, "  from %s\n", from)
	}
}

// stageText names the stage, and what its command does.
func stageText(r *pipe.Run) string {
	switch r.Kind {
	case "check":
		return "check " + r.Stage
	case "deploy":
		return "deploy stage " + r.Stage + ", to " + r.Env
	case "undeploy":
		return "deploy stage " + r.Stage + ", taken down from " + r.Env
	}
	return "stage " + r.Stage
}

// printWho prints who ran it, where, when, and for how long, as far as that is known.
func printWho(w io.Writer, r *pipe.Run) {
	if !r.At.IsZero() {
		line := "started " + r.At.Local().Format("2006-01-02 15:04:05 MST")
		switch r.Status {
		case "killed":
		case "running":
			line += ", " + took(r) + " ago"
		default:
			line += ", took " + took(r)
		}
		view.Print(w, "  %s\n", line)
	}
	for _, x := range []struct{ word, value string }{{"by", r.By}, {"in", r.Builder}, {"at commit", r.Commit}, {"with pipe", r.Version}} {
		if x.value != "" {
			view.Print(w, "  %s %s\n", x.word, x.value)
		}
	}
}

// keyText is a key with its generation, as --hash takes it.
func keyText(r *pipe.Run) string {
	if r.Generation > 0 {
		return fmt.Sprintf("%s.%d", r.Key, r.Generation)
	}
	return r.Key.String()
}
