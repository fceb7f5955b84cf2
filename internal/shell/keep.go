package shell

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A deployment must not go on when the run that started it cannot vouch for it any more:
// another run may take its place, and two commands would work on one target. A signal
// handler is not enough for that, because nothing is handled after kill -9, and a stopped
// process handles nothing. So the command runs below a second process, the keeper:
//
//	pipe  --(its input: a byte for each beat or signal)-->   keeper  -->  sh, and what it starts
//	      <--(its output: started, left, fenced, ended)--
//	      <--(its errors: the command's output)---------------------------
//
// The only end for writing of the keeper's input is in pipe, so it closes when pipe ends,
// however that comes. The keeper is in a process group of its own, so that a kill of
// pipe's group leaves it at work.

// KeeperArg is the first argument of a process that is a keeper.
const KeeperArg = "__keep"

// What pipe tells the keeper: one byte each.
const (
	beat      = '.' // the run has proved that it may go on
	interrupt = 'I' // end the command by SIGINT
	terminate = 'T' // end it by SIGTERM
	killNow   = 'K' // kill it: the rest of its grace is taken away
)

// What the keeper answers: the first word of a line.
const (
	wordStarted = "started" // and the number of the command's process group
	wordFenced  = "fenced"  // no beat came in time, so the command was ended
	wordLeft    = "left"    // and the name of a process that left the group and goes on
	wordEnded   = "ended"   // and the exit code, and the name of the signal that ended it
	wordError   = "error"   // and why the command could not be run
)

// ErrFenced says that the command was ended because no beat came in time: this run was
// stopped, or could not prove that it may still deploy.
var ErrFenced = errors.New("the command was stopped, because this run could no longer prove that it may deploy")

// Keep says that a command runs below a keeper, and how.
type Keep struct {
	// Program is the file of this program, whose main calls Keeper when the first argument
	// is KeeperArg.
	Program string
	// Silence is how long the command may go on without a beat.
	Silence time.Duration
	// Beats has an item each time the run has proved that it may go on: when it asked for the
	// proof. One that comes later than Silence after that is no proof any more.
	Beats <-chan time.Time
	// Last is the newest item of Beats; zero means that the run has proved it just now. Run keeps
	// it, so that one Keep is good for several commands one after the other: the silence before a
	// command counts, and a command is not started when it was too long.
	Last time.Time
	// Left is told the names of the processes that a command which succeeded left running
	// outside of its group, each name once. May be nil.
	Left func(name string)
}

// kept runs the command below a keeper.
func (c *Command) kept(ctx context.Context, args []string) error {
	quiet := c.Keep.quiet()
	if quiet > c.Keep.Silence {
		return ErrFenced
	}
	// By the wall clock: this process may stand still before the keeper begins.
	last := time.Now().Add(-quiet).UnixNano()
	first := []string{KeeperArg, c.Keep.Silence.String(), strconv.FormatInt(last, 10), cmp.Or(c.Grace, Grace).String()}
	cmd := exec.Command(c.Keep.Program, append(first, args...)...)
	cmd.Args[0] = "pipe" // what ps shows, wherever the file is
	cmd.Dir, cmd.Env = c.Dir, c.Env
	setGroup(cmd, false)
	control, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	drain, err := c.start(cmd)
	if err != nil {
		return err
	}
	answered := make(chan answer, 1)
	go func() {
		a := c.listen(said)
		// Wait closes said, so it comes after the last line.
		if err := cmd.Wait(); a.err == nil && !a.ended {
			a.err = fmt.Errorf("the keeper of the command ended early: %w", cmp.Or(err, io.ErrUnexpectedEOF))
		}
		answered <- a
	}()
	a := c.tell(ctx, control, answered)
	// When the keeper was killed, its command's shell was, too, but not what that had started.
	killGroup(a.pgid)
	drain()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return a.err
}

// quiet takes the beats that came while no command ran, and returns how long ago the last one was.
func (k *Keep) quiet() time.Duration {
	for {
		select {
		case k.Last = <-k.Beats:
			continue
		default:
		}
		if k.Last.IsZero() {
			k.Last = time.Now()
		}
		return quiet(k.Last, time.Now())
	}
}

// tell passes on beats, the signal that ends ctx and WithKill's kill, until the keeper has ended. A keeper
// that is gone is not told anything: its answer says how it ended.
func (c *Command) tell(ctx context.Context, control io.WriteCloser, answered <-chan answer) answer {
	defer func() { _ = control.Close() }()
	done, kill := ctx.Done(), (<-chan struct{})(nil)
	for {
		select {
		case a := <-answered:
			return a
		case c.Keep.Last = <-c.Keep.Beats:
			// A run that was stopped may find an old one.
			if quiet(c.Keep.Last, time.Now()) <= c.Keep.Silence {
				_, _ = control.Write([]byte{beat})
			}
		case <-done:
			done, kill = nil, killed(ctx).Done()
			var sig SignalError
			if errors.As(context.Cause(ctx), &sig) && sig.Signal == os.Interrupt {
				_, _ = control.Write([]byte{interrupt})
			} else {
				_, _ = control.Write([]byte{terminate})
			}
		case <-kill:
			kill = nil
			_, _ = control.Write([]byte{killNow})
		}
	}
}

// answer is what a keeper said by its end.
type answer struct {
	pgid  int
	ended bool
	err   error // how the command ended
}

// listen reads what the keeper says, until its end.
func (c *Command) listen(said io.Reader) (a answer) {
	fenced := false
	for s := bufio.NewScanner(said); s.Scan(); {
		word, rest, _ := strings.Cut(s.Text(), " ")
		switch word {
		case wordStarted:
			if _, err := fmt.Sscan(rest, &a.pgid); err == nil && c.Started != nil {
				c.Started(a.pgid)
			}
		case wordFenced:
			fenced = true
		case wordLeft:
			if c.Keep.Left != nil {
				c.Keep.Left(rest)
			}
		case wordError:
			a.err = errors.New(rest)
		case wordEnded:
			a.ended = true
			var e ExitError
			code, name, _ := strings.Cut(rest, " ")
			if _, err := fmt.Sscan(code, &e.Code); err == nil && (e.Code != 0 || name != "") {
				e.Signal = name
				a.err = &e
			}
		}
	}
	if fenced {
		a.err = ErrFenced
	}
	return a
}
