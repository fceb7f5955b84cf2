// Package cli reads flags, calls verbs and prints what they answer.
//
// Standard output is the answer, standard error the talk: progress, notes and
// errors. With --json both the answer and a run's events are JSON; the answer
// names its schema.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// World is what the command line takes from outside.
type World struct {
	Args     []string // without the program's name
	Environ  []string
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // In and Err are a terminal: questions may be asked
}

// app is one invocation.
type app struct {
	World
	json   bool
	quiet  bool
	dir    string
	remote string
	env    string
}

// Run runs the command line and returns the exit code. It prints the errors.
func Run(ctx context.Context, w World) int {
	a := &app{World: w}
	root := a.root()
	root.SetArgs(w.Args)
	err := root.ExecuteContext(ctx)
	var sig shell.SignalError
	if err != nil && errors.As(context.Cause(ctx), &sig) && errors.Is(err, context.Cause(ctx)) && !diag.Is(err, diag.Interrupted) && !diag.Is(err, diag.Terminated) {
		err = shell.Interrupted(context.Cause(ctx))
	}
	if err != nil {
		a.complain(err)
	}
	return pipe.ExitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "pipe",
		Short:         "Build once, deploy once: idempotent builds and deployments",
		Long:          "pipe runs the stages of pipe.yaml whose inputs changed, takes what was built\nbefore from a content-addressed store, and deploys what is not live yet.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return diag.New(diag.Usage, "%w", err).Hinted("%s --help", c.CommandPath())
	})
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "answer in JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "do not name stages that are unchanged")
	f.StringVarP(&a.dir, "dir", "C", "", "work in this directory")
	f.StringVarP(&a.remote, "remote", "r", "", "the remote: a name from pipe.yaml, a URL or a directory")
	f.StringVar(&a.env, "env", "", "the environment that deploy stages act on (default \"default\")")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		a.initCmd(), a.reproCmd(), a.planCmd(), a.whyCmd(), a.statusCmd(), a.pushCmd(), a.pullCmd(), a.checkoutCmd(),
		a.findCmd(), a.hashCmd(), a.diffCmd(), a.dagCmd(), a.verifyCmd(), a.gcCmd(), a.lockCmd(), a.remoteCmd(),
		a.doctorCmd(), a.versionCmd(), a.completionCmd(),
	)
	return root
}

// command makes a subcommand whose wrong arguments are usage errors.
func command(use, short, long string, args cobra.PositionalArgs, run func(c *cobra.Command, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: long, RunE: run, Args: usage(args)}
}

// usage gives wrong arguments their kind: cobra's errors have none.
func usage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		if err := args(c, list); err != nil {
			return diag.New(diag.Usage, "%w", err).Hinted("%s --help", c.CommandPath())
		}
		return nil
	}
}

func (a *app) options() pipe.Options {
	out := a.Err
	if a.json {
		out = a.Out
	}
	p := &view.Progress{W: out, JSON: a.json, Quiet: a.quiet, Group: a.onActions()}
	return pipe.Options{Dir: a.dir, Environ: a.Environ, Remote: a.remote, Env: a.env, Emit: p.Event}
}

func (a *app) onActions() bool {
	v, _ := shell.Getenv(a.Environ, "GITHUB_ACTIONS")
	return v == "true"
}

// with opens the project for f. talk says that events are printed; a question
// whose answer is one JSON document prints none.
func (a *app) with(ctx context.Context, talk bool, f func(p *pipe.Project) error) error {
	opt := a.options()
	if !talk && a.json {
		opt.Emit = nil
	}
	if !talk && !a.json {
		// Only notes: the answer itself names the stages.
		emit := opt.Emit
		opt.Emit = func(e event.Event) {
			if e.Type == event.Note {
				emit(e)
			}
		}
	}
	p, err := pipe.Open(ctx, opt)
	if err != nil {
		return err
	}
	err = f(p)
	return errors.Join(err, p.Close())
}

// answer prints a verb's answer: text, or JSON with a schema name.
func (a *app) answer(schema string, value any, text func(w io.Writer)) error {
	if a.json {
		return view.Answer(a.Out, schema, value)
	}
	text(a.Out)
	return nil
}

// complain prints every failure: place, what, and the next step.
func (a *app) complain(err error) {
	if diag.Is(err, diag.Pending) {
		return // the answer has said it
	}
	if a.json {
		_ = view.Answer(a.Out, "pipe.error/1", struct {
			Errors []pipe.Problem `json:"errors"`
			Exit   int            `json:"exit"`
		}{pipe.Describe(err), pipe.ExitCode(err)})
		return
	}
	for _, p := range pipe.Describe(err) {
		text := p.Message
		if p.Place != "" {
			text = p.Place + ": " + text
		}
		_, _ = fmt.Fprintf(a.Err, "pipe: %s\n", text)
		if p.Hint != "" {
			_, _ = fmt.Fprintf(a.Err, "  hint: %s\n", p.Hint)
		}
	}
}

// pending is the error of exit code 3.
func pending(what string) error { return diag.New(diag.Pending, "%s", what) }
