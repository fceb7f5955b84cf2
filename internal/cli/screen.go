package cli

import (
	"context"
	"time"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/pipe"
)

// dress gives the streams their colours, and has all that is printed on a terminal with live
// lines go above them.
func (a *app) dress() {
	out, err := heedless{a.Out}, heedless{a.Err}
	a.Out = view.Stream{Writer: out, Colours: a.colours(a.OutTerminal)}
	a.Err = view.Stream{Writer: err, Colours: a.colours(a.Size != nil)}
	if a.Size == nil || a.set("CI") || a.variable("TERM") == "dumb" {
		return
	}
	a.screen = &view.Screen{W: err, Size: a.Size}
	a.Err = view.Stream{Writer: a.screen.Over(err), Colours: a.colours(true)}
	if a.OutTerminal {
		a.Out = view.Stream{Writer: a.screen.Over(out), Colours: a.colours(true)}
	}
}

// colours reports whether a stream shows colours: no-color.org goes before all else, a colour
// that is forced (force-color.org, bixense.com/clicolors) before what the stream is.
func (a *app) colours(terminal bool) bool {
	switch {
	case a.variable("NO_COLOR") != "":
		return false
	case a.set("FORCE_COLOR"), a.set("CLICOLOR_FORCE"):
		return true
	case a.variable("FORCE_COLOR") != "", a.variable("CLICOLOR") == "0", a.variable("TERM") == "dumb":
		return false
	}
	return terminal
}

// variable returns an environment variable; "" is not set.
func (a *app) variable(name string) string {
	v, _ := shell.Getenv(a.Environ, name)
	return v
}

// set reports whether a variable that means yes or no means yes.
func (a *app) set(name string) bool {
	return shell.IsSet(a.Environ, name)
}

// options are those of package pipe that the global flags say, with events going to the
// terminal, or with --json to stdout. All that one command does is one progress.
func (a *app) options() pipe.Options {
	if a.progress == nil {
		a.progress = &view.Progress{
			W: a.Err, JSON: a.json, Quiet: a.quiet, Form: view.Form(ci.SystemOf(a.Environ)),
			Screen: a.screen, Meter: &event.Meter{}, Now: time.Now, Beat: a.Beat,
		}
		if a.json {
			a.progress.W = a.Out
		}
	}
	return pipe.Options{
		Dir: a.dir, Environ: a.Environ, Remote: a.remote, Env: a.env, NoWait: a.noWait, Prompt: a.Terminal,
		Emit: a.progress.Event, Meter: a.progress.Meter, Program: a.Program,
	}
}

// ask asks while nothing else is printed. It returns when ctx ends, also when nobody answers:
// what waits for the answer then waits until the process ends.
func (a *app) ask(ctx context.Context, question func() error) error {
	return a.progress.Alone(func() error {
		_, err := par.Await(ctx, func() (struct{}, error) { return struct{}{}, question() })
		return err
	})
}
