package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// planComment is plan that keeps its answer as a comment on a pull request. There is no exit code
// 3: it would fail the step of a workflow, and with it each pull request that changes something.
func (a *app) planComment(c *cobra.Command, opt pipe.ReproOptions, number int) error {
	if c.Flags().Changed("pr") && number < 1 {
		return diag.New(diag.Usage, "--pr must be the number of a pull request, not %d", number).Hinted("pipe plan --comment --pr NUMBER")
	}
	return a.with(c.Context(), func(p *pipe.Project) error {
		comment, err := p.PlanComment(number)
		if err != nil {
			return err
		}
		if p.DeploysTo() != "" && !opt.NoDeploy {
			return a.commentTo(c.Context(), p, opt, comment)
		}
		return a.commentPlan(c.Context(), p, opt, comment)
	})
}

// commentPlan plans the stages, and deployments to all environments.
func (a *app) commentPlan(ctx context.Context, p *pipe.Project, opt pipe.ReproOptions, comment *pipe.PlanComment) error {
	r, failed := p.Plan(ctx, opt)
	if r == nil {
		return failed
	}
	shown := pipe.ShownPlan{Stages: r.Stages, Failed: failed}
	if !opt.NoDeploy && len(opt.Targets) == 0 {
		var err error
		if shown.Environments, err = p.PlanEnvironments(ctx); err != nil {
			return errors.Join(failed, err)
		}
	}
	refused := comment.Write(ctx, shown)
	err := a.answer("pipe.plan/1", struct {
		*pipe.Result
		Environments []pipe.DeployedTo `json:"environments,omitempty"`
		Comment      *pipe.PlanComment `json:"comment"`
	}{r, shown.Environments, comment}, func(w io.Writer) {
		printStages(w, r.Stages, a.quiet)
		if len(shown.Environments) > 0 {
			view.Print(w, "\n")
			a.printPlans(w, &pipe.Deployed{Environments: shown.Environments})
		}
		printComment(w, comment)
	})
	return errors.Join(err, failed, refused)
}

// commentTo plans the deployment to one environment.
func (a *app) commentTo(ctx context.Context, p *pipe.Project, opt pipe.ReproOptions, comment *pipe.PlanComment) error {
	o, err := p.AsDeploy(opt)
	if err != nil {
		return err
	}
	o.Dry = true
	d, failed := p.Deploy(ctx, o)
	if d == nil || len(d.Environments) == 0 {
		return failed
	}
	refused := comment.Write(ctx, pipe.ShownPlan{Stages: d.Environments[0].Stages, Environments: d.Environments, Failed: failed})
	err = a.answer("pipe.deploy/1", struct {
		*pipe.Deployed
		Comment *pipe.PlanComment `json:"comment"`
	}{d, comment}, func(w io.Writer) {
		a.printPlans(w, d)
		printComment(w, comment)
	})
	return errors.Join(err, failed, refused)
}

func printComment(w io.Writer, c *pipe.PlanComment) {
	if c.URL != "" {
		view.Print(w, "comment: %s\n", c.URL)
	}
}
