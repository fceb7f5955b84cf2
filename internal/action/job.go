package action

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/params"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Job is one run of a stage's command, as it is handed to a runner: values and digests, so
// that the runner may be on another machine. The runner must not decide anything: what may be
// read, what is kept and what the command sees stands here.
type Job struct {
	Stage *spec.Stage
	// Inputs lists every file that the command may read. Under is where the project's root is in
	// it: Root, unless the stage reads something outside of the project. Another stage's output that is a directory is one
	// object.Nested entry, unless Fresh is set: then its files are listed.
	Inputs *object.Tree
	Under  repopath.Path
	Made   []artifact.Output // other stages' outputs among the inputs, whole, sorted by path
	Above  []artifact.Output // those of projects outside this one, from the top of the git repository; they lie there
	Reads  []Read            // the other inputs, which somebody may change meanwhile
	Params []params.Value    // sorted by file, then key
	Env    []string          // NAME=value; the runner adds PIPE_ROOT
	// Fresh asks for a directory that holds the inputs alone, as deploy stages
	// get it; else the command runs in the project.
	Fresh bool
	// Recorded are the outputs that the lock names: edits of other bytes that lie
	// there are kept before the command replaces them.
	Recorded []artifact.Output
	// Beats has an item whenever the run has proved that it may still deploy, the time at which
	// it asked for the proof; a deployment's command ends when there is none of the last Silence. A
	// job whose channel has none yet counts as proved when it begins. While no command runs nobody
	// takes them, so the sender replaces one that was not taken. nil: the run need not prove it.
	Beats   <-chan time.Time
	Silence time.Duration
	// Again is called before each further attempt of the command, with its number, from 2 on, and how the
	// last one ended; nil: nobody is told.
	Again func(attempt int, failed error)
	// Line is called with each line that the command prints, from one goroutine; with a long one
	// in pieces of shell.MaxLine bytes and a rest, which may be empty.
	Line func(line []byte)
}

// Runner makes outputs from inputs. local.Runner is one; a remote engine can be
// another. After an error nothing is left of the job but what the error names;
// when ctx ends, the job ends, and no process of it is left when Run returns.
type Runner interface {
	Run(ctx context.Context, job *Job) (*Made, error)
}

// Read is an input that was read from the project, and how to read it again. After the command
// the runner reads it again: an input that changed meanwhile would be recorded under the key
// of what it was before.
type Read struct {
	Dep    spec.Dep
	Inside []artifact.Output // other stages' outputs that stand for what lies there
	Was    artifact.Input
}

// Made is what a job made. Its bytes are in the cache. It is not in force yet: the engine
// records it, and then says by Settle which outputs stay.
type Made struct {
	Outs    []artifact.Output // in the order of Stage.Outs
	Seconds float64           // how long the command took, in all attempts
	// Earlier says that no command ran: another tool's lock says that an earlier run made these outs of
	// these inputs. Who ran it, when and how long, nobody knows.
	Earlier bool
	// Settle ends the job: when recorded, what the outputs replaced is dropped;
	// else it is put back. It is called once after each Run without an error.
	Settle func(recorded bool) error
}

// Declared returns the values of a stage's declared variables. Those that are given count before what
// the stage itself says, that before the variables of this process, and those before the env files; whether
// one is set at all is a part of the key.
func Declared(s *spec.Stage, given map[string]string, process func(name string) (string, bool)) (values []EnvValue) {
	for _, v := range s.Env {
		e := EnvValue{Name: v.Name, Value: v.Value, Set: v.Literal, Literal: v.Literal, Secret: v.Secret == spec.IsSecret}
		if text, ok := given[v.Name]; ok {
			e.Value, e.Set, e.Literal = text, true, true
		} else if !v.Literal {
			if e.Value, e.Set = process(v.Name); !e.Set && v.File != nil {
				e.Value, e.Set = v.File.Value, true
			}
			e.Mask = v.LooksSecret()
		}
		values = append(values, e)
	}
	return values
}

// Passed returns the variables that reach a stage's commands and are in no key: those of the environment, in the
// form of os.Environ, and of the env files that its pass_env names.
func Passed(s *spec.Stage, environ []string) (values []EnvValue) {
	if len(s.PassEnv) == 0 {
		return nil
	}
	add := func(name, value string) {
		values = append(values, EnvValue{Name: name, Value: value, Set: true, Mask: (spec.Env{Name: name}).LooksSecret()})
	}
	for _, v := range s.Passed {
		add(v.Name, v.Value)
	}
	for _, kv := range environ { // last: they win
		if name, value, _ := strings.Cut(kv, "="); s.Passes(name) {
			add(name, value)
		}
	}
	return values
}

// Question is one run of a command whose output is an input.
type Question struct {
	Stage   string // that asks
	Cmd     string
	Shell   string
	Wdir    repopath.Path
	Env     []string          // NAME=value; PIPE_ROOT is added
	Timeout time.Duration     // how long the command may take
	Most    int               // how many bytes it may print
	Line    func(line []byte) // called with each line of standard error, as that of a Job
}

// What else than the command's own failure ends a Question.
var (
	ErrTooMuch  = errors.New("too much output")
	ErrNotAsked = errors.New("not asked") // whoever looks at a project runs nothing of it
)

// ErrVerify is what a job's error wraps when the stage's verify command failed, the last time of all
// that it was tried. What else keeps it from an answer, as the end of the run, is not that.
var ErrVerify = errors.New("verify failed")

// ErrTimeout is what a job's error wraps when the stage's timeout ended it.
var ErrTimeout = errors.New("timeout")
