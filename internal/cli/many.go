package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// ofMany are the commands that take -R. Those that only look go on after a project that fails.
var ofMany = [...]string{"plan", "status", "stage list", "repro", "push", "pull", "checkout"}

// looking is how many of ofMany only look.
const looking = 3

// mayBeMany refuses -R where it means nothing. Stages are not unique among projects, so none can
// be named.
func (a *app) mayBeMany(c *cobra.Command, args []string) error {
	name := strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
	switch {
	case !a.many:
		return nil
	case !slices.Contains(ofMany[:], name):
		return diag.New(diag.Usage, "-R works with %s only, not with %s", strings.Join(ofMany[:], ", "), name).Hinted("pipe -C DIR %s", name)
	case c.Flags().Changed("only") || c.Flags().Changed("skip"):
		return diag.New(diag.Usage, "--only and --skip are for one project").Hinted("pipe -C DIR %s", name)
	case len(args) > 0:
		return diag.New(diag.Usage, "-R takes no stages; it means all stages of all projects").Hinted("pipe -C DIR %s %s", name, args[0])
	}
	a.goOn = slices.Contains(ofMany[:looking], name)
	return nil
}

// withAll opens all projects for f.
func (a *app) withAll(ctx context.Context, opt pipe.Options, f func(*pipe.Projects) error) error {
	defer a.progress.Start(ctx)()
	ps, err := pipe.OpenAll(ctx, opt)
	if err != nil {
		return err
	}
	return errors.Join(f(ps), ps.Close())
}

// reproAll is pipe repro for all projects.
func (a *app) reproAll(ctx context.Context, opt pipe.ReproOptions) error {
	return a.withAll(ctx, a.options(), func(ps *pipe.Projects) error {
		counts, err := ps.Repro(ctx, opt)
		if counts.Ran+counts.Restored == 0 {
			return err
		}
		return errors.Join(err, ps.Each(ctx, true, func(p *pipe.Project) error {
			a.hintIgnore(p)
			return nil
		}, nil))
	})
}

// each calls f for each project. What it answers gets the project's directory as a heading, or
// as a member.
func (a *app) each(ctx context.Context, opt pipe.Options, f func(*pipe.Project) error) error {
	out := a.Out
	defer func() { a.Out, a.project = out, "" }()
	return a.withAll(ctx, opt, func(ps *pipe.Projects) error {
		return ps.Each(ctx, a.goOn, func(p *pipe.Project) error {
			a.project = p.Dir()
			if !a.json {
				s, _ := out.(view.Stream)
				s.Writer = &headed{Writer: s.Writer, heading: a.project}
				a.Out = s
			}
			return f(p)
		}, nil)
	})
}

// headed prints a heading before anything else.
type headed struct {
	io.Writer
	heading string
	printed bool
}

// Write implements io.Writer.
func (h *headed) Write(b []byte) (int, error) {
	if !h.printed {
		h.printed = true
		view.Print(h.Writer, "%s:\n", h.heading)
	}
	return h.Writer.Write(b)
}
