// Package cli reads flags, calls verbs and prints what they answer.
//
// Results go to stdout; progress, notes and errors go to stderr. With --json both the answer
// and a run's events are JSON on stdout, errors too; the answer names its schema.
//
// A command is one file: a function that makes a cobra.Command with its help text, its flags,
// a call of one verb of package pipe, and the words for its answer. Nothing is decided here
// that a program which uses package pipe would miss. Errors are returned, and Run alone prints
// them and turns them into the exit code. The world (arguments, environment, streams) comes in
// as a World, so a test runs whole command lines without a process.
//
// The texts are the manual: cmd/pipe/manual.md is generated from them, and a test compares the
// two.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	Terminal bool      // In is a terminal: somebody can answer
	Tty      io.Writer // where that person reads questions; nil: Err
	// Size returns how large the terminal is that Err is; nil: Err is no terminal.
	Size        func() (columns, rows int)
	OutTerminal bool          // Out is a terminal
	Program     string        // the file of this program
	Beat        time.Duration // between heartbeats; 0: view.Heartbeat
}

// app is one invocation. Its fields are the flags that all commands take; each command's own
// flags are variables of its function.
type app struct {
	World
	json   bool
	quiet  bool
	dir    string
	remote string
	env    string
	noWait bool

	screen   *view.Screen   // nil: no live lines
	progress *view.Progress // what options has made
	many     bool           // all projects below

	goOn    bool   // with many: after a project that failed, too
	project string // with many: whose answer is printed
}

// Run runs the command line and returns the exit code. It prints the errors. When a signal
// ended the run, the exit code is the signal's, whatever error came of it on the way.
func Run(ctx context.Context, w World) int {
	a := &app{World: w}
	a.dress()
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

// root makes the command tree anew for each invocation, so that no flag keeps a value from
// another one.
func (a *app) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:           "pipe",
		Short:         "Build once, deploy once: idempotent builds and deployments",
		Long:          "Run the stages in pipe.yaml whose inputs changed, restore what was built before,\nand deploy what is not live yet.",
		Example:       "  pipe init\n  pipe repro\n  pipe why build",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          group,
		RunE: func(c *cobra.Command, args []string) error {
			if version {
				return a.versionCmd().RunE(c, args)
			}
			return c.Help()
		},

		PersistentPreRunE: func(c *cobra.Command, args []string) error {
			if err := noneEmpty(c); err != nil {
				return err
			}
			return a.mayBeMany(c, args)
		},
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(wrongFlag)
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print only errors, notes and the summary; plan and status hide what is unchanged")
	f.StringVarP(&a.dir, "dir", "C", "", "run as if started in this directory")
	f.BoolVarP(&a.many, "recursive", "R", false, "repro, plan, status, push, pull, checkout, stage list: all projects in and below this directory")
	f.StringVarP(&a.remote, "remote", "r", "", "remote to use: a name in pipe.yaml, a URL or a directory")
	f.StringVar(&a.env, "env", "", "environment to deploy to (default \"default\")")
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.CompletionOptions.DisableDefaultCmd = true
	complete(root, "remote", a.remotes)
	complete(root, "env", a.environments)
	grouped(root, "Start:", a.initCmd(), a.importCmd(), a.exportCmd(), a.doctorCmd())
	grouped(root, "Edit pipe.yaml:", a.stageCmd(), a.fmtCmd(), a.validateCmd(), a.schemaCmd(), a.freezeCmd(), a.unfreezeCmd())
	grouped(root, "Build:", a.planCmd(), a.reproCmd(), a.whyCmd(), a.statusCmd(), a.dagCmd(), a.ciCmd())
	grouped(root, "Deploy:", a.deployCmd(), a.promoteCmd(), a.rollbackCmd(), a.approveCmd(), a.rejectCmd(), a.holdCmd(), a.resumeCmd(), a.envCmd())
	grouped(root, "Look back:", a.findCmd(), a.showCmd(), a.logCmd(), a.diffCmd(), a.metricsCmd(), a.getCmd())
	grouped(root, "Data, remotes, pipe.lock:", a.addCmd(), a.unaddCmd(), a.updateCmd(), a.pushCmd(), a.pullCmd(), a.fetchCmd(), a.checkoutCmd(), a.remoteCmd(), a.verifyCmd(), a.gcCmd(), a.hashCmd(), a.lockCmd())
	root.AddCommand(a.versionCmd(), a.completionCmd())
	a.completions(root)
	return root
}

// grouped adds commands that stand together in the help.
func grouped(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}

// heedless is a writer whose reader may close the pipe: pipe status | head must not fail
// because head has seen enough.
type heedless struct{ io.Writer }

// Write implements io.Writer.
func (h heedless) Write(b []byte) (int, error) {
	n, err := h.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		return len(b), nil
	}
	return n, err
}

// waits adds the flag of commands that take a lock.
func (a *app) waits(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.noWait, "no-wait", false, "exit with code 6 if another process holds a lock, instead of waiting")
	return c
}

// command makes a subcommand whose wrong arguments are usage errors. The example is indented
// here, as cobra prints it as it is.
func command(use, short, long, example string, args cobra.PositionalArgs, run func(c *cobra.Command, args []string) error) *cobra.Command {
	example = "  " + strings.ReplaceAll(example, "\n", "\n  ")
	return &cobra.Command{Use: use, Short: short, Long: long, Example: example, RunE: run, Args: usage(args)}
}

// arguments accepts from least to most arguments, any number if most is negative.
// When some are missing, the error asks for them in the words of ask.
func arguments(least, most int, ask string) cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		line := strings.TrimSuffix(c.UseLine(), " [flags]")
		switch {
		case len(list) < least:
			return fmt.Errorf("%s: %s", ask, line)
		case most == 0 && len(list) > 0:
			return fmt.Errorf("%s takes no arguments", line)
		case most >= 0 && len(list) > most:
			return fmt.Errorf("too many arguments: %s", line)
		}
		return nil
	}
}

// noArgs accepts no arguments.
func noArgs(c *cobra.Command, list []string) error { return arguments(0, 0, "")(c, list) }

// noneEmpty refuses flags whose value is the empty string. It is nearly always a variable of
// the caller's that is not set, and --env "$TARGET" must not deploy to the default environment.
func noneEmpty(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if v := f.Value.String(); err == nil && (v == "" || v == "[]" && f.Value.Type() == "stringSlice") {
			err = diag.New(diag.Usage, "--%s needs a value", f.Name).Hinted("%s --help", c.CommandPath())
		}
	})
	return err
}

// usage gives wrong arguments their kind: cobra's errors have none. An empty one names nothing,
// and would be taken for the directory that it is joined to.
func usage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		err := args(c, list)
		if err == nil && slices.Contains(list, "") {
			err = fmt.Errorf("an argument is empty: %s", strings.TrimSuffix(c.UseLine(), " [flags]"))
		}
		if err != nil && !errors.As(err, new(*diag.Error)) {
			return diag.New(diag.Usage, "%w", err).Hinted("%s --help", c.CommandPath())
		}
		return err
	}
}

// with opens the project for f, which asks for an answer; see asking.
func (a *app) with(ctx context.Context, f func(p *pipe.Project) error) error {
	return a.opened(ctx, a.asking(), f)
}

// opened opens the project for f, and closes it whatever f returns: that writes the stat index,
// and the next call saves the time.
func (a *app) opened(ctx context.Context, opt pipe.Options, f func(p *pipe.Project) error) error {
	if a.many {
		return a.each(ctx, opt, f)
	}
	defer a.progress.Start(ctx)()
	p, err := pipe.Open(ctx, opt)
	if err != nil {
		return err
	}
	if a.Size != nil {
		a.progress.Align(p.Stages())
	}
	return errors.Join(f(p), p.Close())
}

// asking are the options of a question: of what goes on only notes are printed, for the answer
// itself names the stages.
func (a *app) asking() pipe.Options {
	opt := a.options()
	emit := opt.Emit
	opt.Emit = func(e event.Event) {
		if e.Type == event.Note && !a.json {
			emit(e)
		}
	}
	return opt
}

// answer prints a verb's answer: text, or JSON with a schema name.
func (a *app) answer(schema string, value any, text func(w io.Writer)) error {
	if a.json {
		return view.Answer(a.Out, schema, a.project, value)
	}
	text(a.Out)
	return nil
}

// complain prints every failure: place, what, and the next step. A pending answer is no
// failure to report: only its exit code differs.
func (a *app) complain(err error) {
	if diag.Is(err, diag.Pending) {
		return // the answer has said it
	}
	if a.json {
		_ = view.Answer(a.Out, "pipe.error/1", "", struct {
			Errors []pipe.Problem `json:"errors"`
			Exit   int            `json:"exit"`
		}{pipe.Describe(err), pipe.ExitCode(err)})
		return
	}
	problems := pipe.Describe(err)
	for _, p := range problems {
		text := p.Message
		if p.Place != "" {
			text = p.Place + ": " + text
		}
		first, rest, more := strings.Cut(text, "\n")
		view.Print(a.Err, view.Paint(a.Err, view.Red, "pipe:")+" %s\n", first)
		// A list does not fit on a line. What a command said is not shown: the run has shown it.
		for more {
			var line string
			line, rest, more = strings.Cut(rest, "\n")
			view.Print(a.Err, "    %s\n", strings.TrimPrefix(line, "    "))
		}
		if p.Hint != "" {
			view.Print(a.Err, "  "+view.Paint(a.Err, view.Cyan, "hint:")+" %s\n", p.Hint)
		}
	}
	a.annotate(problems)
}

// pending is the error of exit code 3. Its text is never printed.
func pending(what string) error { return diag.New(diag.Pending, "%s", what) }
