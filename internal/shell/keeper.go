package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/pipe-build/pipe/internal/process"
)

// orphanGrace is how long a command may take to end once its run is gone or fenced:
// another run waits for it, or has begun.
const orphanGrace = 5 * time.Second

// errOrphan is the cause of a keeper's end when its run has ended.
var errOrphan = errors.New("the run that started the command has ended")

// Keeper is the main function of a keeper: it runs one command, says on out how it fares, and
// ends it when in closes, or no beat comes in time. args are what kept puts behind KeeperArg.
// The command's output goes to this process's standard error. It returns the process's exit
// code, which tells nothing about the command.
func Keeper(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
	if len(args) < 4 {
		_, _ = fmt.Fprintf(out, "%s pipe starts this by itself\n", wordError)
		return 2
	}
	silence, err := time.ParseDuration(args[0])
	last, err2 := strconv.ParseInt(args[1], 10, 64)
	grace, err3 := time.ParseDuration(args[2])
	if err := errors.Join(err, err2, err3, adopt()); err != nil {
		_, _ = fmt.Fprintf(out, "%s %v\n", wordError, err)
		return 2
	}
	since := max(0, time.Since(time.Unix(0, last)))
	if since > silence {
		_, _ = fmt.Fprintln(out, wordFenced)
		return 0
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, kill := WithKill(ctx)
	defer kill()
	go heed(in, time.Now().Add(-since), silence, cancel, kill)
	k := keeper{out: out, grace: grace}
	err = k.run(ctx, args[3:])
	cause := context.Cause(ctx)
	if err != nil || cause != nil {
		endDescendants()
	} else {
		var names []string
		for _, p := range process.Descendants(os.Getpid()) {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
				k.say("%s %s", wordLeft, p.Name)
			}
		}
	}
	if errors.Is(cause, ErrFenced) {
		k.say(wordFenced)
	}
	var exit *ExitError
	switch {
	case err == nil:
		k.say("%s 0 ", wordEnded)
	case errors.As(err, &exit):
		k.say("%s %d %s", wordEnded, exit.Code, exit.Signal)
	default:
		k.say("%s %v", wordError, err)
	}
	return 0
}

// keeper runs one command.
type keeper struct {
	out   io.Writer
	grace time.Duration
}

// say tells the run something. When there is nobody to hear it any more, that shows by
// the end of the input.
func (k *keeper) say(format string, args ...any) { _, _ = fmt.Fprintf(k.out, format+"\n", args...) }

// run runs the command in a group of its own and returns when no process of it is left.
func (k *keeper) run(ctx context.Context, args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	setGroup(cmd, true)
	keepReader()
	// The command ends with the thread that started it, so that one must not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	pgid := cmd.Process.Pid
	k.say("%s %d", wordStarted, pgid)
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	err := (&Command{Grace: k.grace}).await(ctx, pgid, exited)
	killGroup(pgid)
	for process.GroupAlive(pgid) {
		time.Sleep(poll) // killed, and not gone yet
	}
	return exitError(err)
}

// heed takes what the run says, whose last beat was at last, and ends the command when it must: by
// what ends cancel's context, and kill. It returns when the run is gone; the process ends soon after that.
func heed(in io.Reader, last time.Time, silence time.Duration, cancel context.CancelCauseFunc, kill context.CancelFunc) {
	told := make(chan byte)
	go func() {
		defer close(told)
		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(in, b); err != nil {
				return
			}
			told <- b[0]
		}
	}()
	// A command that was asked to end before has no more time than one that is asked now.
	end := func(cause error) {
		cancel(cause)
		time.AfterFunc(orphanGrace, kill)
	}
	look := time.NewTicker(max(silence/50, poll))
	defer look.Stop()
	for {
		select {
		case b, ok := <-told:
			if !ok {
				end(errOrphan)
				return
			}
			switch b {
			case beat:
				last = time.Now()
			case interrupt:
				cancel(SignalError{Signal: os.Interrupt})
			case terminate:
				cancel(SignalError{Signal: syscall.SIGTERM})
			case killNow:
				kill()
			}
		case now := <-look.C:
			if quiet(last, now) > silence {
				look.Stop()
				end(ErrFenced)
			}
		}
	}
}

// quiet returns how long ago last was. The monotonic clock does not tell the time for which
// the machine slept, the wall clock does; a wall clock that was put back tells nothing.
func quiet(last, now time.Time) time.Duration {
	return max(now.Sub(last), now.Round(0).Sub(last.Round(0)))
}

// endDescendants kills all that this process has started and that is still there, also what
// left its process group. Each round may find what those of the round before had just begun.
func endDescendants() {
	for all := process.Descendants(os.Getpid()); len(all) > 0; all = process.Descendants(os.Getpid()) {
		for _, p := range all {
			killOne(p.PID)
		}
		time.Sleep(poll)
	}
}
