// Package shell runs a command and leaves no child behind.
//
// Run is all there is to it: it starts a Command's script, passes on its output
// by lines, and returns when the script has ended. The script and all that it
// starts are one process group, which is the unit that is asked to end, and killed,
// and counted as alive. Run promises that no process of the group is left when it
// returns, because the caller hashes the outputs next: a process that still writes
// would make a digest of bytes that never were the output.
//
// A process that leaves the group on purpose (setsid, a daemon) is out of reach.
// If pipe is killed, the workspace's lock stays taken as long as such a process keeps
// Command.Hold open; when pipe ends by itself it frees the lock for all who have it.
// What must not outlive pipe, however pipe ends, has a Keep.
package shell

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/process"
)

// Grace is how long a command may take to end after it was asked to.
const Grace = 10 * time.Second

// Command is one script to run.
type Command struct {
	Script string
	Shell  string // "bash"; anything else is "sh"
	Dir    string
	Env    []string // all of it; nil is this process's own, as in exec.Cmd
	// Hold is inherited by the command: a file lock on it lasts as long as any
	// process of the command does, even when this one is killed. May be nil.
	Hold *os.File
	// Line is called for each line of output, without its end, from one goroutine. A progress
	// bar, which draws over its line, is one line: what it drew last. Its
	// argument is valid only during the call. Standard output and standard error come
	// in one stream, in the order in which they were written. May be nil.
	Line func(line []byte)
	// Stdout gets standard output as it is, from one goroutine; Line then gets standard error
	// alone. What comes after an error of Stdout is dropped. nil: Line gets both.
	Stdout io.Writer
	// Started is called with the process group's number, before Run waits. May be nil.
	Started func(pgid int)
	// Tmp is where a script too long for an argument is written.
	Tmp string
	// Grace is how long it may take to end after it was asked to; 0 is the Grace of the package.
	Grace time.Duration
	// Keep puts a keeper between this process and the command. Stdout is not for it. May be nil.
	Keep *Keep
}

// Getenv returns a variable of an environment in the form of os.Environ, where
// the last one of a name counts, and whether it is set.
func Getenv(environ []string, name string) (string, bool) {
	for i := len(environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// IsSet reports whether a variable that means yes or no means yes.
func IsSet(environ []string, name string) bool {
	v, _ := Getenv(environ, name)
	return v != "" && v != "0" && v != "false"
}

// ExitError says that the script ended with a code other than 0.
type ExitError struct {
	Code   int    // -1 when a signal ended it
	Signal string // "" or the signal, as "signal 9 (killed)"
}

// Error says how the command ended.
func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "ended by " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// longest is the script that fits an argument: Linux takes 128 KiB for one.
const longest = 100 << 10

// args returns the shell as GitHub Actions starts it, so that a script means the same
// here and there: it ends at the first command that fails, and in bash also when any
// part of a pipeline does. bash reads no start-up files, which differ between users.
func (c *Command) args(script string, file bool) []string {
	args := []string{"sh", "-e"}
	if c.Shell == "bash" {
		args = []string{"bash", "--noprofile", "--norc", "-eo", "pipefail"}
	}
	if file {
		return append(args, script)
	}
	return append(args, "-c", script)
}

// Run runs the script in a process group of its own, without input. When ctx
// ends, the group gets the signal that ended it (SIGTERM for another cause),
// and SIGKILL after Grace or by WithKill's kill. When Run returns, no process of the group is left.
// A script that fails is an *ExitError; the context's cause comes first.
func Run(ctx context.Context, c Command) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	script, file := c.Script, false
	if len(script) > longest {
		name, err := writeScript(c.Tmp, script)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(name)) }()
		script, file = name, true
	}
	args := c.args(script, file)
	if c.Keep != nil {
		return c.kept(ctx, args)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	setGroup(cmd, false)
	drain, err := c.start(cmd)
	if err != nil {
		return err
	}
	if c.Started != nil {
		c.Started(cmd.Process.Pid)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	err = c.await(ctx, cmd.Process.Pid, exited)
	// The command is over; what it left in its group is not wanted.
	killGroup(cmd.Process.Pid)
	drain()
	// A command may exit with 0 because it was asked to end, so a cancelled context
	// counts in any case.
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return exitError(err)
}

// start starts cmd with pipes for its output, which is passed on from now on; drain returns when
// there is no more. The pipes are made here: cmd.Wait would close one from cmd.StdoutPipe before
// all is read, and with a Writer it would wait for the end of the output, which a process outside
// the group may delay for ever.
func (c *Command) start(cmd *exec.Cmd) (drain func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	cmd.Stderr = w
	if cmd.Stdout == nil {
		cmd.Stdout = w
	}
	reads, writes := []*os.File{r}, []*os.File{w}
	if c.Stdout != nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", cmd.Path, err), closeAll(reads), closeAll(writes))
		}
		cmd.Stdout = w
		reads, writes = append(reads, r), append(writes, w)
	}
	if c.Keep != nil {
		// Without a reader the next line would kill the command, which is to be asked to end,
		// and given the time for it. So the keeper holds the end for reading, too.
		inherit(cmd, r)
	}
	if c.Hold != nil {
		inherit(cmd, c.Hold)
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", cmd.Path, err), closeAll(reads), closeAll(writes))
	}
	// The child has its own copies of the write ends. With these open, too, the output would
	// never end.
	if err := closeAll(writes); err != nil {
		return nil, err
	}
	return c.reading(reads), nil
}

// reading reads the pipes, the first by lines, a second one for Stdout, and closes them when
// drain is called. The pipes end with the group, unless a process left the group: then its
// output is not waited for.
func (c *Command) reading(pipes []*os.File) (drain func()) {
	var read sync.WaitGroup
	for i, r := range pipes {
		read.Add(1)
		go func() {
			defer read.Done()
			if i == 0 {
				c.lines(r)
			} else {
				c.copy(r)
			}
		}()
	}
	done := make(chan struct{})
	go func() { read.Wait(); close(done) }()
	return func() {
		select {
		case <-done:
		case <-time.After(time.Second):
			for _, r := range pipes {
				_ = r.SetReadDeadline(time.Now())
			}
			<-done
		}
		_ = closeAll(pipes)
	}
}

// closeAll closes the files.
func closeAll(files []*os.File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// writeScript writes a script that is too long for an argument to a file in dir, and
// returns its name. The caller removes it.
func writeScript(dir, script string) (string, error) {
	f, err := os.CreateTemp(dir, "script-*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(script)
	return f.Name(), errors.Join(err, f.Close())
}

// await returns when the command has exited, with what cmd.Wait said. When ctx ends it
// asks the group to end, gives it one grace period in all, unless WithKill's kill cuts it
// short, and kills it after that.
func (c *Command) await(ctx context.Context, pgid int, exited <-chan error) error {
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
	}
	var sig SignalError
	if !errors.As(context.Cause(ctx), &sig) {
		sig.Signal = nil
	}
	askGroup(pgid, sig.Signal)
	grace, cancel := context.WithTimeout(killed(ctx), cmp.Or(c.Grace, Grace))
	defer cancel()
	var err error
	select {
	case err = <-exited:
	case <-grace.Done():
		killGroup(pgid)
		return <-exited
	}
	// A shell ends at once; what it had started may still be cleaning up.
	look := time.NewTicker(poll)
	defer look.Stop()
	for process.GroupAlive(pgid) {
		select {
		case <-look.C:
		case <-grace.Done():
			return err
		}
	}
	return err
}

// poll is how often Run looks whether a group has ended: short against any grace.
const poll = 10 * time.Millisecond

// exitError turns the error of exec into an *ExitError; others pass unchanged.
func exitError(err error) error {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return &ExitError{Code: e.ExitCode(), Signal: signalName(e.ProcessState)}
	}
	return err
}

// MaxLine is how many bytes of a line are passed on at once. A piece of MaxLine bytes is not
// the end of its line: another one follows it, which may be empty.
const MaxLine = 64 << 10

// lines passes on the output until it ends or reading fails. A line of MaxLine bytes or more
// comes in pieces, so that memory stays bounded whatever the command prints. It reads on when
// Line is nil: a full pipe would stop the command.
func (c *Command) lines(r io.Reader) {
	buf := make([]byte, MaxLine)
	n := 0       // bytes of buf that were not passed on yet
	cut := false // the line's beginning was passed on already
	pass := func(line []byte) {
		if c.Line != nil {
			c.Line(line)
		}
	}
	for {
		got, err := r.Read(buf[n:])
		begin := 0
		for at := n; ; {
			i := bytes.IndexByte(buf[at:n+got], '\n')
			if i < 0 {
				break
			}
			pass(shown(buf[begin : at+i]))
			at += i + 1
			begin, cut = at, false
		}
		n = copy(buf, buf[begin:n+got])
		if n == len(buf) { // what is drawn over takes no room; only what is still too long is cut
			if n = redrawn(buf); n == len(buf) {
				pass(buf)
				n, cut = 0, true
			}
		}
		if err != nil {
			if n > 0 || cut {
				pass(shown(buf[:n]))
			}
			return
		}
	}
}

// shown returns what a terminal shows of a line in the end: a progress bar draws over itself by
// carriage returns, and counts as what it drew last.
func shown(line []byte) []byte {
	line = bytes.TrimRight(line, "\r")
	return line[bytes.LastIndexByte(line, '\r')+1:]
}

// redrawn drops from an unfinished line what is drawn over already, and returns how many bytes
// are left. A carriage return at its end stays: the next byte will draw over the line, or end it.
func redrawn(line []byte) int {
	n := copy(line, shown(line))
	if line[len(line)-1] == '\r' && n < len(line) {
		line[n] = '\r'
		n++
	}
	return n
}

// copy passes standard output on until it ends. It reads on after an error of Stdout: a full
// pipe would stop the command.
func (c *Command) copy(r io.Reader) {
	_, _ = io.Copy(c.Stdout, r)
	_, _ = io.Copy(io.Discard, r)
}
