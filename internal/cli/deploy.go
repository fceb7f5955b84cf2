package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// deployCmd makes pipe deploy.
func (a *app) deployCmd() *cobra.Command {
	var opt pipe.DeployOptions
	var input string
	var all bool
	c := command("deploy ENV...", "Build what is needed, and deploy it",
		`Build what the deploy stages need, and deploy to the environments, or groups of
environments, that are named. What is live is not deployed again. An environment
is held only while its commands run; other runs wait for it.

With --release or --commit nothing is built: a release that exists is deployed,
with the values of the environment as they are now.

With --auto, pipe deploys as it does in CI: only where auto: says so, from this
branch, and never over a hold or a newer commit.`,
		"pipe deploy staging\npipe deploy staging --skip 'web-*'\npipe deploy production --commit 4be1f02\npipe deploy --auto --all",
		cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
			opt.Envs = args
			if all && !opt.Auto {
				return diag.New(diag.Usage, "--all needs --auto").Hinted("pipe deploy --auto --all")
			}
			if all && len(args) > 0 {
				return diag.New(diag.Usage, "--all deploys to every environment; do not name any").Hinted("pipe deploy --auto --all")
			}
			if opt.Release != "" && opt.Commit != "" {
				return diag.New(diag.Usage, "--release and --commit cannot be used together").Hinted("pipe deploy ENV --commit REV")
			}
			if err := asInput(a.In, input, &opt); err != nil {
				return err
			}
			if len(opt.Sources) > 0 && opt.Release+opt.Commit != "" {
				return diag.New(diag.Usage, "--source needs a build, and --release and --commit build nothing").Hinted("pipe deploy ENV --source NAME=REF")
			}
			if len(opt.Params) > 0 && opt.Release+opt.Commit != "" {
				return noParams(opt)
			}
			return a.deployment(c, opt.Dry, func(p *pipe.Project) (*pipe.Deployed, error) { return p.Deploy(c.Context(), opt) })
		})
	f := c.Flags()
	f.StringVar(&opt.Release, "release", "", "deploy this release instead of building one: its name, or its first digits")
	f.StringVar(&opt.Commit, "commit", "", "deploy the release of this commit instead of building one")
	a.narrowing(c, &opt)
	f.Lookup("set").Usage = "`NAME=VALUE` of a variable, in place of the environment's; or FILE:KEY=VALUE of a key of a params or vars file, in this run only"
	f.Var(pairs{&opt.Sources}, "source", "take a source from another ref in this run only, as `NAME=REF`")
	f.StringVar(&input, "input", "", "read environment, skip_STAGE and override_branches from a JSON file; - is standard input")
	f.BoolVar(&opt.Auto, "auto", false, "deploy as in CI: obey auto, pins, holds and newer commits")
	f.BoolVar(&all, "all", false, "with --auto, all environments in pipe.yaml")
	f.BoolVar(&opt.Hold, "hold", false, "hold the environment afterwards, or keep the hold that it has")
	f.BoolVar(&opt.CreateEnv, "create-env", false, "if pipe.yaml has no environments, let ENV be one that nothing was deployed to yet")
	f.BoolVar(&opt.TrustLock, "trust-lock", false, "deploy the outputs in pipe.lock even if a record of the same inputs names others")
	f.BoolVar(&opt.RebuildMissing, "rebuild-missing", false, "run stages whose outputs are in neither the cache nor the remote")
	return a.waits(c)
}

// noParams refuses values of keys of files where nothing is built: what is deployed has the values that
// it was built with.
func noParams(opt pipe.DeployOptions) error {
	if len(opt.Params) == 0 {
		return nil
	}
	return diag.New(diag.Usage, "--set FILE:KEY=VALUE needs a build, and this builds nothing").Hinted("pipe deploy ENV --set FILE:KEY=VALUE")
}

// narrowing adds the flags that deploy, promote and rollback share.
func (a *app) narrowing(c *cobra.Command, opt *pipe.DeployOptions) {
	f := c.Flags()
	f.StringSliceVar(&opt.Only, "only", nil, "deploy only the stages that match this pattern")
	f.StringSliceVar(&opt.Skip, "skip", nil, "leave out the stages that match this pattern")
	a.stagePatterns(c)
	f.Var(setting{&opt.Set, &opt.Params}, "set", "`NAME=VALUE` of a variable, in place of the environment's")
	f.BoolVarP(&opt.Force, "force", "f", false, "run the commands even if this version is live")
	f.StringVar(&opt.Reason, "reason", "", "why, for the history")
	f.BoolVar(&opt.Dry, "dry-run", false, "show what would be done, without changing anything; exit code 3 if there is something to do")
	f.IntVarP(&opt.Jobs, "jobs", "j", 0, "number of stages to run at once (default: the number of CPUs)")
	f.BoolVarP(&opt.KeepGoing, "keep-going", "k", false, "after a failure, run the stages that do not depend on it")
}

// deployment runs a verb that deploys, and prints what became of each environment.
func (a *app) deployment(c *cobra.Command, dry bool, f func(*pipe.Project) (*pipe.Deployed, error)) error {
	if a.env != "" {
		return diag.New(diag.Usage, "%s takes environments as arguments, not by --env", c.Name()).Hinted("%s", strings.TrimSuffix(c.UseLine(), " [flags]"))
	}
	if dry {
		return a.with(c.Context(), func(p *pipe.Project) error {
			d, err := f(p)
			return a.planned(d, err, true)
		})
	}
	return a.opened(c.Context(), a.options(), func(p *pipe.Project) error {
		d, err := f(p)
		if d == nil || diag.Is(err, diag.Usage) && !slices.ContainsFunc(d.Environments, tried) || len(d.Environments) == 0 && err != nil {
			return err
		}
		return errors.Join(a.answer("pipe.deploy/1", d, func(w io.Writer) { printDeployed(w, d) }), err)
	})
}

// tried reports whether there is more to say of an environment than the error.
func tried(e pipe.DeployedTo) bool { return e.N > 0 || e.Outcome != pipe.DeployFailed }

// printDeployed prints a row for each environment.
func printDeployed(w io.Writer, d *pipe.Deployed) {
	if len(d.Environments) == 0 {
		view.Print(w, "no environments\n") // a file of each: may be empty
		return
	}
	rows := [][]string{{"ENV", "OUTCOME", "N", "RELEASE", "COMMIT", "WHY"}}
	for _, e := range d.Environments {
		n := "-"
		if e.N > 0 {
			n = fmt.Sprintf("#%d", e.N)
		}
		rows = append(rows, []string{e.Env, e.Outcome, n, cmp.Or(shortRelease(e.Release), "-"), cmp.Or(fmt.Sprintf("%.12s", e.Commit), "-"), e.Why})
	}
	view.Table(w, rows)
}

// shortRelease is as much of a release's name as people need.
func shortRelease(name string) string { return fmt.Sprintf("%.14s", name) }

// promoteCmd makes pipe promote.
func (a *app) promoteCmd() *cobra.Command {
	var opt pipe.DeployOptions
	var pin bool
	c := command("promote FROM TO", "Deploy what another environment has verified",
		`Deploy the newest release that was verified in FROM to TO: the same bytes, with the
values of TO. Nothing is built, and only pipe.yaml is needed. A release that FROM was
rolled back from does not count until pipe resume FROM.

With --pin, write the release's name into TO's pin file instead, for a pull request;
the automatic deployment of the merge commit brings it to TO.`,
		"pipe promote staging production\npipe promote staging production --pin", arguments(2, 2, "name both environments"),
		func(c *cobra.Command, args []string) error {
			if pin {
				for _, name := range []string{"create-env", "dry-run", "force", "hold", "jobs", "keep-going", "only", "reason", "set", "skip"} {
					if c.Flags().Changed(name) {
						return diag.New(diag.Usage, "--pin deploys nothing; leave out --%s", name).Hinted("pipe promote FROM TO --pin")
					}
				}
				return a.pinned(c.Context(), args[0], args[1])
			}
			if err := noParams(opt); err != nil {
				return err
			}
			return a.deployment(c, opt.Dry, func(p *pipe.Project) (*pipe.Deployed, error) { return p.Promote(c.Context(), args[0], args[1], opt) })
		})
	f := c.Flags()
	a.narrowing(c, &opt)
	f.BoolVar(&opt.CreateEnv, "create-env", false, "if pipe.yaml has no environments, let ENV be one that nothing was deployed to yet")
	f.BoolVar(&pin, "pin", false, "write TO's pin file instead of deploying")
	f.BoolVar(&opt.Hold, "hold", false, "hold the environment afterwards, or keep the hold that it has")
	return a.waits(c)
}

func (a *app) pinned(ctx context.Context, from, to string) error {
	return a.with(ctx, func(p *pipe.Project) error {
		pin, err := p.Pin(ctx, from, to)
		if err != nil {
			return err
		}
		return a.answer("pipe.pin/1", pin, func(w io.Writer) { view.Print(w, "%s: %s\n", pin.File, shortRelease(pin.Release)) })
	})
}

// rollbackCmd makes pipe rollback.
func (a *app) rollbackCmd() *cobra.Command {
	var opt pipe.RollbackOptions
	c := command("rollback ENV", "Deploy an earlier release again, and hold it",
		`Deploy the newest release that worked and is not the one that is live or was tried
last, or the one that --to names, with the values that it had. Nothing is built.
Afterwards the environment is held: automatic deployments do not change it until
pipe resume or, with after_rollback: next, until there is another release.`,
		"pipe rollback production\npipe rollback production --to 183\npipe rollback production --to 4be1f02 --reason 'checkout fails'",
		arguments(1, 1, "name an environment"), func(c *cobra.Command, args []string) error {
			if err := noParams(opt.DeployOptions); err != nil {
				return err
			}
			return a.deployment(c, opt.Dry, func(p *pipe.Project) (*pipe.Deployed, error) { return p.Rollback(c.Context(), args[0], opt) })
		})
	f := c.Flags()
	a.narrowing(c, &opt.DeployOptions)
	f.StringVar(&opt.To, "to", "", "a deployment's number, a release, a commit, or the hash of an artifact")
	f.BoolVar(&opt.CurrentValues, "current-values", false, "use the values in pipe.yaml, not those that were recorded")
	f.BoolVar(&opt.PastBarrier, "past-barrier", false, "change stages with barrier: true, too")
	return a.waits(c)
}
