package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// planCmd makes pipe plan, which has the flags of repro that choose and decide.
func (a *app) planCmd() *cobra.Command {
	var opt pipe.ReproOptions
	var comment, matrix bool
	var number int
	c := command("plan [STAGE|OUT]...", "Show what repro would do",
		`Show what pipe repro would do with all stages, or with the named ones and their
dependencies, without changing anything. A stage is listed as "depends" if another
stage must run before its inputs are known.

Where pipe.yaml has environments, --env ENV shows what pipe deploy ENV would do there:
the stages with the values of ENV, the plan that approvals sign, who has signed, and
the rules that stand against it.

Exit code 3 means that at least one stage would run, be restored or be deployed.

With --comment, in GitHub Actions, the plan and what would be deployed to each environment
are kept in one comment on the pull request; a later run edits it. The token in
GITHUB_TOKEN needs pull-requests: write. With --comment or --matrix, the exit code is 0
whatever the plan says.

With --matrix, the stages that must run, or may have to, are printed as a matrix of jobs
for GitHub Actions. A stage is in a later wave than those that it needs. The outputs
matrix-1, matrix-2, ..., waves and any are set for the step.`,
		"pipe plan\npipe plan build\npipe plan --env production\npipe plan --comment\npipe plan --matrix", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Targets = args
			if comment && matrix {
				return diag.New(diag.Usage, "--comment and --matrix cannot be used together").Hinted("pipe plan --matrix")
			}
			if comment {
				return a.planComment(c, opt, number)
			}
			if c.Flags().Changed("pr") {
				return diag.New(diag.Usage, "--pr needs --comment").Hinted("pipe plan --comment --pr %d", number)
			}
			if matrix {
				return a.matrix(c, opt)
			}
			return a.plan(c, opt, true)
		})
	a.selection(c, &opt)
	c.Flags().BoolVar(&comment, "comment", false, "in GitHub Actions, keep the plan as a comment on the pull request")
	c.Flags().IntVar(&number, "pr", 0, "with --comment, the number of the pull request (default: the one that CI builds)")
	c.Flags().BoolVar(&matrix, "matrix", false, "print the stages as a matrix of jobs for GitHub Actions")
	return c
}

// plan prints what repro would do; code asks for exit code 3 when that is something. repro
// --dry-run leaves it out: its exit code means success or failure, as without the flag.
func (a *app) plan(c *cobra.Command, opt pipe.ReproOptions, code bool) error {
	return a.with(c.Context(), func(p *pipe.Project) error {
		if p.DeploysTo() != "" && !opt.NoDeploy {
			return a.planTo(c.Context(), p, opt, code)
		}
		r, failed := p.Plan(c.Context(), opt)
		if r == nil {
			return failed
		}
		if err := a.answer("pipe.plan/1", r, func(w io.Writer) { printStages(w, r.Stages, a.quiet) }); err != nil {
			return errors.Join(failed, err)
		}
		if failed != nil {
			return failed
		}
		if code && r.Pending {
			return pending("some stages are not up to date")
		}
		return nil
	})
}

// matrix prints the matrix of jobs. As a text it is what a workflow reads, so nothing else is in it.
func (a *app) matrix(c *cobra.Command, opt pipe.ReproOptions) error {
	if a.many {
		return diag.New(diag.Usage, "--matrix is for one project").Hinted("pipe -C DIR plan --matrix")
	}
	return a.with(c.Context(), func(p *pipe.Project) error {
		m, err := p.Matrix(c.Context(), opt)
		if err != nil {
			return err
		}
		return a.answer("pipe.matrix/1", m, func(w io.Writer) {
			b, _ := json.Marshal(m) // numbers and names
			view.Print(w, "%s\n", string(b))
		})
	})
}

// planTo prints the plan of a deployment to an environment in pipe.yaml.
func (a *app) planTo(ctx context.Context, p *pipe.Project, opt pipe.ReproOptions, code bool) error {
	o, err := p.AsDeploy(opt)
	if err != nil {
		return err
	}
	o.Dry = true
	d, err := p.Deploy(ctx, o)
	return a.planned(d, err, code)
}

// planned prints what a deployment would do; code asks for exit code 3 when that is something.
func (a *app) planned(d *pipe.Deployed, err error, code bool) error {
	if d == nil || len(d.Environments) == 0 && err != nil {
		return err
	}
	if err := errors.Join(a.answer("pipe.deploy/1", d, func(w io.Writer) { a.printPlans(w, d) }), err); err != nil {
		return err
	}
	if code && d.Pending {
		return pending("there is something to deploy")
	}
	return nil
}

// printPlans prints what a deployment would do in each environment, and what stands against it.
func (a *app) printPlans(w io.Writer, d *pipe.Deployed) {
	for i, e := range d.Environments {
		if i > 0 {
			view.Print(w, "\n")
		}
		if len(d.Environments) > 1 {
			view.Print(w, "%s:\n", e.Env)
		}
		printStages(w, e.Stages, a.quiet)
		if e.Outcome != pipe.DeployPlanned && e.Outcome != pipe.DeployWaiting {
			view.Print(w, "%s: %s\n", e.Outcome, e.Why)
		}
		if e.Release != "" {
			view.Print(w, "release: %s\n", e.Release)
		}
		if e.Plan != "" {
			view.Print(w, "plan: %s\n", e.Plan)
		}
		if e.Approval == nil {
			continue
		}
		view.Print(w, "approval: %s\n", e.Approval.Text)
		for _, p := range e.Approval.Problems {
			view.Print(w, "note: %s\n", p)
		}
	}
}

// printStages prints a line per stage with its verdict, and the files that changed where they
// are asked for. All are known here, so the columns fit
// all of them.
func printStages(w io.Writer, stages []pipe.StageResult, quiet bool) {
	width := 0
	for _, s := range stages {
		width = max(width, len(s.Stage))
	}
	for _, s := range stages {
		if quiet && (s.Verb == event.Skip || s.Verb == event.Frozen || s.Verb == event.Omit) {
			continue
		}
		verb, why := view.Verdict(s.Verb, s.Deploy, s.Check, s.Because)
		view.PrintRow(w, width, s.Stage, verb, why)
		printFiles(w, "  ", s.Files)
	}
}
