package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// envHistoryCmd makes pipe env history.
func (a *app) envHistoryCmd() *cobra.Command {
	limit, verify := 20, false
	c := command("history ENV [N]", "List the deployments to an environment, or show one",
		`List the newest deployments to an environment. With a number, show that deployment:
what ran, what was live already, who started it, with which options and why, and what
the commands printed, with secrets masked.

Each entry of the history names the one before by its hash. --verify follows these
names to the first deployment and exits with code 7 if one is missing or was changed.`,
		"pipe env history production\npipe env history production 184\npipe env history production --verify", arguments(1, 2, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := a.named(c); err != nil {
				return err
			}
			var n uint64
			if len(args) == 2 {
				var err error
				if n, err = deploymentNumber(args[0], args[1]); err != nil {
					return err
				}
			}
			switch {
			case verify && len(args) == 2:
				return diag.New(diag.Usage, "--verify checks the whole history, not one deployment").Hinted("pipe env history %s --verify", args[0])
			case limit < 1:
				return diag.New(diag.Usage, "--limit must be 1 or more").Hinted("pipe env history %s --limit 20", args[0])
			}
			return a.with(c.Context(), func(p *pipe.Project) error {
				switch {
				case verify:
					return a.verifyHistory(c, p, args[0])
				case len(args) == 2:
					return a.pastDeployment(c, p, args[0], n)
				}
				return a.listHistory(c, p, args[0], limit)
			})
		})
	c.Flags().IntVarP(&limit, "limit", "n", limit, "list at most this many deployments")
	c.Flags().BoolVar(&verify, "verify", false, "check that no entry is missing or was changed")
	return c
}

// deploymentNumber reads the number of a deployment: 184, #184, or its whole name, production-184.
func deploymentNumber(env, text string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(text, env+"-"), "#"), 10, 64)
	if err != nil || n == 0 {
		return 0, diag.New(diag.Usage, "%q is not the number of a deployment", text).Hinted("pipe env history %s lists them", env)
	}
	return n, nil
}

func (a *app) verifyHistory(c *cobra.Command, p *pipe.Project, env string) error {
	v, err := p.VerifyHistory(c.Context(), env)
	if err != nil {
		return err
	}
	return a.answer("pipe.env.verify/1", v, func(w io.Writer) {
		view.Print(w, "%s verified, none is missing or was changed\n", view.Count(int(v.Deployments), "deployment"))
		if v.Running > 0 {
			view.Print(w, "#%d has not ended and is not in the history yet\n", v.Running)
		}
	})
}

func (a *app) listHistory(c *cobra.Command, p *pipe.Project, env string, limit int) error {
	h, unread := p.History(c.Context(), env, limit)
	if h == nil {
		return unread
	}
	if len(h.Deployments) == 0 && unread == nil && !a.json {
		view.Print(a.Err, "nothing was deployed to %s yet\n", env)
	}
	err := a.answer("pipe.env.history/1", h, func(w io.Writer) {
		if len(h.Deployments) == 0 {
			return
		}
		rows := [][]string{{"N", "KIND", "STATUS", "RELEASE", "COMMIT", "BY", "WHEN", "STAGES"}}
		for i := range h.Deployments {
			d := &h.Deployments[i]
			rows = append(rows, []string{
				strconv.FormatUint(d.N, 10), d.Kind, d.Status, cmp.Or(shortRelease(d.Release), "-"), cmp.Or(fmt.Sprintf("%.12s", d.Commit), "-"),
				cmp.Or(d.By, "-"), moment(d.At), stagesText(d.Stages),
			})
		}
		view.Table(w, rows)
	})
	if err == nil && h.More && !a.json {
		view.Print(a.Err, "older deployments are not listed; pipe env history %s --limit %d lists more\n", env, 10*limit)
	}
	if err != nil {
		return err
	}
	return unread
}

// stagesText names the stages that ran, and counts the others.
func stagesText(stages []pipe.PastStage) string {
	var ran []string
	skipped, not := 0, 0
	for _, s := range stages {
		switch s.Do {
		case "run":
			ran = append(ran, s.Stage)
		case "skip":
			skipped++
		default:
			not++
		}
	}
	var words []string
	if len(ran) > 0 {
		words = append(words, strings.Join(view.Few(ran, 4), ", "))
	}
	if skipped > 0 {
		words = append(words, fmt.Sprintf("%d unchanged", skipped))
	}
	if not > 0 {
		words = append(words, fmt.Sprintf("%d not run", not))
	}
	return cmp.Or(strings.Join(words, "; "), "-")
}

func (a *app) pastDeployment(c *cobra.Command, p *pipe.Project, env string, n uint64) error {
	d, err := p.PastDeployment(c.Context(), env, n)
	if err != nil {
		return err
	}
	return a.answer("pipe.env.deployment/1", d, func(w io.Writer) { printDeployment(w, d) })
}

// printDeployment prints one deployment of the history.
func printDeployment(w io.Writer, d *pipe.PastDeployment) {
	status := d.Status
	switch status {
	case "unknown":
		status = "unknown: its run died"
	case "running":
		status = "in progress"
	}
	view.Print(w, "%s #%d: %s, %s\n", d.Env, d.N, d.Kind, status)
	row := func(word, text string) {
		if text != "" {
			view.Print(w, "  %-8s %s\n", word, text)
		}
	}
	row("release", d.Release)
	row("from", d.From)
	row("commit", d.Commit)
	if d.Dirty {
		row("inputs", "edited after that commit")
	}
	if d.Override {
		row("inputs", "other sources or values than the commit's")
	}
	row("by", d.By)
	row("run", d.Run)
	row("pipe", d.Version)
	when := d.At.UTC().Format("2006-01-02 15:04:05 MST")
	if !d.Ended.IsZero() {
		when += ", took " + view.Seconds(d.Ended.Sub(d.At).Seconds())
	}
	row("began", when)
	row("reason", d.Reason)
	row("options", strings.Join(d.Options, " "))
	row("error", d.Error)
	for i := range d.Stages {
		printPastStage(w, d, &d.Stages[i])
	}
}

// printPastStage prints what a deployment did about a stage, and what that printed.
func printPastStage(w io.Writer, d *pipe.PastDeployment, s *pipe.PastStage) {
	view.Print(w, "%s: %s\n", s.Stage, doneText(d, s))
	if s.Was != "" && s.Key != "" && s.Was != s.Key {
		view.Print(w, "  before %s\n", s.Was)
	}
	if s.Key != "" {
		view.Print(w, "  key %s\n", s.Key)
	}
	if s.Commit != "" && s.Commit != d.Commit {
		view.Print(w, "  commit %s\n", s.Commit)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Values)) {
		view.Print(w, "  %s=%s\n", name, s.Values[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Outside)) {
		view.Print(w, "  %s  %s\n", name, hashWord(s.Outside[name]))
	}
	switch {
	case s.Lost != "":
		view.Print(w, "  its output is missing: %s\n", s.Lost)
	case s.Output != "":
		view.Print(w, "  output:\n")
		text := s.Output
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		view.Log(w, text, false)
	}
}

// doneText says what became of a stage in a deployment.
func doneText(d *pipe.PastDeployment, s *pipe.PastStage) string {
	switch {
	case d.Status == "running" && s.Status == "unknown":
		return "in progress"
	case s.Do == "skip":
		return "unchanged, it was live"
	case s.Do != "run":
		return "not run: the deployment stopped before it"
	}
	text := s.Status
	switch {
	case s.Error != "":
		text = "failed: " + strings.TrimPrefix(s.Error, s.Stage+": ")
	case d.Kind == "destroy" && s.Status == "":
		text = "taken down"
	}
	if s.Seconds > 0 {
		text += ", in " + view.Seconds(s.Seconds)
	}
	return text + view.Attempts(s.Attempts)
}
