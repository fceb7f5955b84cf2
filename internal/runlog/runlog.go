// Package runlog keeps what the commands of stages printed on this machine.
//
// A run is two files in .pipe/runs: NAME.log has what the command printed, and NAME.json, a Run,
// who ran it, where, when, and how it ended. Both are there from the beginning: the log is
// written line by line, so that a kill leaves what was printed up to then. What is written is
// masked already.
//
// Runs are for people. Nothing is decided by them, so nothing here makes a run fail: where
// nothing can be written (a read-only checkout, a full disk), a log is short or absent.
//
// The log is locked as long as its command runs. So a run that was killed is told from one
// that goes on, by every reader, and nobody has to clean up.
package runlog

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/folder"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Schema names the form of a Run in its file. The form only grows.
const Schema = "pipe.run/1"

// Keep is how long a run is kept.
const Keep = 30 * 24 * time.Hour

// How a run ended, or has not. The last two are found out by a reader.
const (
	OK          = "ok"
	Failed      = "failed"
	TimedOut    = "timeout"
	Interrupted = "interrupted"
	Running     = "running"
	Killed      = "killed" // pipe was, or the machine stopped
)

// Run is one run of a stage's command.
type Run struct {
	Stage      string        `json:"stage"`
	Kind       string        `json:"kind"` // build, check, deploy or undeploy
	Status     string        `json:"status"`
	Key        digest.Key    `json:"key,omitzero"`
	Generation int           `json:"generation,omitempty"`
	Env        string        `json:"env,omitempty"`        // the environment of a deployment
	Deployment string        `json:"deployment,omitempty"` // and its name there
	Project    string        `json:"project,omitempty"`
	By         string        `json:"by,omitempty"`      // user@host
	Builder    string        `json:"builder,omitempty"` // URI of the CI's run
	Commit     string        `json:"commit,omitempty"`  // HEAD's hash
	Version    string        `json:"version,omitempty"` // of pipe
	At         time.Time     `json:"at,omitzero"`       // when it began
	Seconds    float64       `json:"seconds,omitempty"`
	Attempts   int           `json:"attempts,omitempty"` // of the command; absent: one
	Exit       int           `json:"exit,omitempty"`     // the command's exit code; -1: a signal ended it
	Error      string        `json:"error,omitempty"`
	Log        digest.Digest `json:"log,omitzero"`         // of what is kept; zero: nothing, or not known
	Incomplete bool          `json:"incomplete,omitempty"` // some of the log could not be written
}

// file is a Run as it is written.
type file struct {
	Schema string `json:"schema"`
	Run
}

// Dir is the runs of one workspace. Its fields must be set; a nil Dir keeps nothing. Begin may be
// called from many goroutines.
type Dir struct {
	Work *worktree.Work
	Now  func() time.Time

	pruned sync.Once
}

// layout begins each name, so that names sort as the runs began.
const layout = "20060102T150405.000000Z"

// The endings of names: what was printed, the Run, and a Run that is being written.
const (
	logEnd  = ".log"
	headEnd = ".json"
	newEnd  = ".new"
)

// name returns the name of a stage's run that begins at a time.
func name(stage string, at time.Time) string { return at.UTC().Format(layout) + "-" + suffix(stage) }

// suffix is a stage's name as part of a file's name, whatever names later versions give to stages.
func suffix(stage string) string {
	const most = 100
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '_' || r == '.' || r == '@' || r == '-' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z') {
			return r
		}
		return '_'
	}, stage[:min(len(stage), most)])
}

// began returns when the run of a name began, and the name's stage; false if the name is not a run's.
func began(name string) (at time.Time, stage string, ok bool) {
	if len(name) < len(layout)+2 || name[len(layout)] != '-' {
		return at, "", false
	}
	at, err := time.Parse(layout, name[:len(layout)])
	return at, name[len(layout)+1:], err == nil
}

// List returns the names of the runs of a stage, the newest first; of all stages when it is "".
func (d *Dir) List(stage string) ([]string, error) {
	in, err := d.Work.Own(worktree.Runs)
	if worktree.Gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	entries, err := in.List()
	var names []string
	for _, e := range entries {
		name, isLog := strings.CutSuffix(e.Name(), logEnd)
		if _, of, ok := began(name); isLog && ok && (stage == "" || of == suffix(stage)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// Read returns a run by its name. Of one whose file is not there, or damaged by a power cut, the
// name tells the stage and the time.
func (d *Dir) Read(name string) Run {
	at, stage, _ := began(name)
	r := Run{Stage: stage, At: at, Status: Running}
	in, err := d.Work.Own(worktree.Runs)
	if err != nil {
		return r
	}
	defer func() { _ = in.Close() }()
	files := atomicfile.Files{Root: in}
	b, err := files.Read(name+headEnd, atomicfile.MaxNote)
	f := file{}
	if err == nil && json.Unmarshal(b, &f) == nil && suffix(f.Stage) == stage {
		r = f.Run
	}
	if r.Status == Running && !held(files, name+logEnd) {
		r.Status = Killed
	}
	return r
}

// held reports whether another process holds the lock on a file that is there.
func held(files atomicfile.Files, name string) bool {
	l, err := files.TryAcquire(name, atomicfile.Shared)
	if l != nil {
		_ = l.Release()
	}
	return l == nil && err == nil
}

// Text returns what a run printed, or has printed so far.
func (d *Dir) Text(name string) (b []byte, err error) {
	in, err := d.Work.Own(worktree.Runs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return atomicfile.Files{Root: in}.Read(name+logEnd, MaxText)
}

// MaxText is the largest log in bytes that is read. What is kept of one run is far less.
const MaxText = 64 << 20

// Prune removes the runs that are older than Keep. What cannot be removed stays.
func (d *Dir) Prune() {
	in, err := d.Work.Own(worktree.Runs)
	if err != nil {
		return
	}
	defer func() { _ = in.Close() }()
	entries, _ := in.List()
	since := d.Now().Add(-Keep)
	for _, e := range entries {
		if at, _, ok := began(e.Name()); ok && at.Before(since) {
			_ = in.Remove(e.Name())
		}
	}
}

// Begin makes the files of a run that begins now, at r.At. The caller ends with End. Where they
// cannot be made it returns nil, which takes all calls and keeps nothing.
func (d *Dir) Begin(r Run) *Writer {
	if d == nil {
		return nil
	}
	d.pruned.Do(d.Prune)
	in, err := d.Work.MakeOwn(worktree.Runs)
	if err != nil {
		return nil
	}
	w := &Writer{in: in, at: r.At}
	if err := w.create(r.Stage); err != nil {
		_ = in.Close()
		return nil
	}
	r.Status = Running
	w.head(r)
	return w
}

// Writer writes the log of one run, from one goroutine at a time.
type Writer struct {
	in   folder.Dir
	name string
	at   time.Time
	f    *os.File
	lock *atomicfile.Lock // nil: the file system has none
	torn bool             // a write has failed: what comes later would follow a gap
}

// create makes a log with a name of its own: two runs of a stage may begin at once by the clock.
func (w *Writer) create(stage string) (err error) {
	for range 1000 {
		w.name = name(stage, w.at)
		w.f, err = w.in.OpenFile(w.name+logEnd, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		w.at = w.at.Add(time.Microsecond)
	}
	if err == nil {
		w.lock, _ = atomicfile.Files{Root: w.in}.TryAcquire(w.name+logEnd, atomicfile.Exclusive)
	}
	return err
}

// head writes the Run, in place of the last one: a reader sees the old or the new one. It is not
// synced: after a power cut the name of the log tells enough.
func (w *Writer) head(r Run) {
	r.At, r.Incomplete = w.at, w.torn
	b, err := json.Marshal(file{Schema, r})
	if err == nil {
		err = w.in.WriteFile(w.name+newEnd, append(b, '\n'), 0o666)
	}
	if err == nil {
		err = w.in.Rename(w.name+newEnd, w.name+headEnd)
	}
	if err != nil {
		_ = w.in.Remove(w.name + newEnd)
	}
}

// Line adds a line, given without its end.
func (w *Writer) Line(text string) {
	if w == nil || w.torn {
		return
	}
	_, err := w.f.WriteString(text + "\n")
	w.torn = err != nil
}

// Replace makes all the whole log: the middle of a long one is dropped.
func (w *Writer) Replace(all []byte) {
	if w == nil || w.torn {
		return
	}
	_, err := w.f.WriteAt(all, 0)
	if err == nil {
		err = w.f.Truncate(int64(len(all)))
	}
	if err == nil {
		_, err = w.f.Seek(0, 2)
	}
	w.torn = err != nil
}

// End writes how the run ended.
func (w *Writer) End(r Run) {
	if w == nil {
		return
	}
	w.head(r)
	_ = w.f.Close()
	if w.lock != nil {
		_ = w.lock.Release()
	}
	_ = w.in.Close()
}
