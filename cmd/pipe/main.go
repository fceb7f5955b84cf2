// Command pipe makes builds and deployments idempotent.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/pipe-build/pipe/internal/cli"
	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/shell"
)

func main() { os.Exit(run()) }

func run() int {
	// A run is short and its heap small. With half the collections the no-op of a project
	// of 10,000 files takes 7 % less CPU and 1 MiB more memory.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	// Whoever reads may go (pipe repro | head): a write then fails, and does not kill
	// the run half-way. What is told, and never received here, is not inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	listening := par.Background(ctx, func(ctx context.Context) {
		select {
		case s := <-signals:
			cancel(shell.SignalError{Signal: s})
		case <-ctx.Done():
		}
	})
	defer listening()
	w := cli.World{
		Args: os.Args[1:], Environ: os.Environ(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdin.Fd())), OutTerminal: shows(os.Stdout),
	}
	if shows(os.Stderr) {
		w.Size = size
	}
	// With pipe repro 2>log, a question in the log would be waited on in silence.
	if w.Terminal && !term.IsTerminal(int(os.Stderr.Fd())) {
		if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
			defer func() { _ = tty.Close() }()
			w.Tty = tty
		}
	}
	return cli.Run(ctx, w)
}

// size returns how large the terminal is that stderr is. One that does not say, as some serial
// lines, counts as the smallest that is usual.
func size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return 80, 24
	}
	return columns, rows
}
