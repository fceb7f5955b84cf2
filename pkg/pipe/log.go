package pipe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Run is one run of a stage's command: who ran it, where, when, and how it ended.
type Run struct {
	Stage      string        `json:"stage"`                // the stage's name
	Kind       string        `json:"kind"`                 // build, check, deploy or undeploy
	Status     string        `json:"status"`               // ok, failed, timeout, interrupted, killed or running
	Key        digest.Key    `json:"key,omitzero"`         // of all that the command was to read
	Generation int           `json:"generation,omitempty"` // how often a rebuild of the key was forced
	Env        string        `json:"env,omitempty"`        // the environment of a deployment
	Deployment string        `json:"deployment,omitempty"` // the deployment's name, as the environment has it
	Project    string        `json:"project,omitempty"`    // the project's name
	By         string        `json:"by,omitempty"`         // user@host
	Builder    string        `json:"builder,omitempty"`    // address of the CI's run
	Commit     string        `json:"commit,omitempty"`     // HEAD's hash
	Version    string        `json:"version,omitempty"`    // of pipe
	At         time.Time     `json:"at,omitzero"`          // when it began
	Seconds    float64       `json:"seconds,omitempty"`    // how long it took, or has taken
	Attempts   int           `json:"attempts,omitempty"`   // of the command; absent: one
	Exit       int           `json:"exit,omitempty"`       // the command's exit code; -1: a signal ended it
	Error      string        `json:"error,omitempty"`      // why it failed
	Log        digest.Digest `json:"log,omitzero"`         // of what it printed
	Incomplete bool          `json:"incomplete,omitempty"` // some of the log could not be written
}

// Log is a run, and what its command printed.
type Log struct {
	Run
	Source string `json:"source"` // machine: this machine's own run; cache or remote: where the record was
	Text   string `json:"text"`   // secrets masked
}

// LogOptions say which run of a stage is meant. The zero value means the newest one on this
// machine, or where it has none the one that pipe.lock names.
type LogOptions struct {
	Run    int    // the n-th newest on this machine
	Commit string // the one that pipe.lock of this commit names
	Hash   string // the one with this key, output or log, by a prefix
	Env    string // of deployments only those to this environment; "": all
}

// runs is what commands printed on this machine.
func (p *Project) runs() *runlog.Dir { return &runlog.Dir{Work: p.work, Now: p.opt.Now} }

// Runs returns the newest runs of this machine, at most so many, the newest first; with an
// environment only the deployments to it. It takes no lock.
func (p *Project) Runs(limit int, env string) ([]Run, error) {
	all := []Run{}
	err := p.eachRun("", func(r Run, _ string) bool {
		if env == "" || r.Env == env {
			all = append(all, r)
		}
		return len(all) < limit
	})
	return all, err
}

// eachRun calls f with each run of a stage on this machine and the run's name, the newest first,
// until f returns false; an empty stage is any. What a run has taken is known when it has ended,
// or goes on.
func (p *Project) eachRun(stage string, f func(r Run, name string) bool) error {
	runs := p.runs()
	names, err := runs.List(stage)
	for _, name := range names {
		r := Run(runs.Read(name))
		if r.Status == runlog.Running {
			r.Seconds = p.opt.Now().Sub(r.At).Seconds()
		}
		if (stage == "" || r.Stage == stage) && !f(r, name) {
			break
		}
	}
	return err
}

// Log returns what a stage printed, and whose run it was. An empty stage means any, with Run or
// Hash. It takes no lock: of a run that goes on it returns what was printed so far.
func (p *Project) Log(ctx context.Context, stage string, opt LogOptions) (*Log, error) {
	switch {
	case opt.Hash != "":
		return p.logByHash(ctx, stage, opt.Hash)
	case stage == "" && opt.Run == 0:
		return nil, diag.New(diag.Usage, "name a stage").Hinted("pipe log lists the runs on this machine")
	case opt.Commit != "":
		return p.logAtCommit(ctx, stage, opt.Commit)
	}
	lock, err := p.lock()
	if err == nil {
		stage, err = p.everNamed(stage, lock)
	}
	if err != nil {
		return nil, err
	}
	count := 0
	l, err := p.logHere(stage, max(opt.Run, 1), func(r Run) bool {
		if opt.Env != "" && r.Env != opt.Env && (stage == "" || r.Env != "") {
			return false
		}
		count++
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case l == nil && opt.Run > 0:
		return nil, fewer(stage, count)
	case l == nil:
		return p.logOfLock(ctx, stage, lock)
	}
	if block := lock.Stage(stage); opt.Run == 0 && block != nil && l.Status == runlog.OK && runID(block) != l.id() {
		p.note(fmt.Sprintf("%s names another run of %s: pipe log --hash %s", lockfile.FileName, stage, runID(block)))
	}
	return l, nil
}

// id names the record of the run.
func (r *Run) id() object.RunID { return object.RunID{Key: r.Key, Generation: r.Generation} }

// everNamed returns the stage that the user means, which may be in pipe.yaml no more; "" stays.
func (p *Project) everNamed(name string, lock *lockfile.File) (string, error) {
	if name == "" {
		return "", nil
	}
	stages, err := p.targets([]string{name})
	if err == nil {
		return stages[0], nil
	}
	runs := p.runs()
	if names, lerr := runs.List(name); lock.Stage(name) != nil || lerr == nil && len(names) > 0 && runs.Read(names[0]).Stage == name {
		return name, nil
	}
	return "", err
}

// logHere returns the n-th newest run of a stage on this machine that is wanted; nil when there
// are fewer.
func (p *Project) logHere(stage string, n int, want func(Run) bool) (*Log, error) {
	var run Run
	at := ""
	err := p.eachRun(stage, func(r Run, name string) bool {
		if want(r) {
			n--
		}
		run, at = r, name
		return n > 0
	})
	if n > 0 || err != nil {
		return nil, err
	}
	return p.printed(run, at)
}

// printed returns the log of a run of this machine by the run's name.
func (p *Project) printed(r Run, name string) (*Log, error) {
	b, err := p.runs().Text(name)
	return &Log{Run: r, Source: onMachine, Text: string(b)}, err
}

// fewer says that this machine has only n runs.
func fewer(stage string, n int) error {
	switch {
	case stage == "":
		return diag.New(diag.NotFound, "this machine has only %s from the last 30 days", view.Count(n, "run")).Hinted("pipe log lists them")
	case n == 0:
		return diag.New(diag.NotFound, "%s has not run on this machine in the last 30 days", stage).Hinted("pipe log %s shows the run that pipe.lock names", stage)
	}
	return diag.New(diag.NotFound, "%s has only %s on this machine from the last 30 days", stage, view.Count(n, "run")).Hinted("pipe log %s --run %d", stage, n)
}

// logOfLock returns the log of the run that made what the workspace's lock names.
func (p *Project) logOfLock(ctx context.Context, stage string, lock *lockfile.File) (*Log, error) {
	if block := lock.Stage(stage); block != nil {
		return p.logOf(ctx, recorded{id: runID(block), stage: stage})
	}
	if s := p.spec.Stage(stage); s != nil && s.Deploy {
		return nil, diag.New(diag.NotFound, "%s has not run on this machine in the last 30 days; the log of a deployment is kept only where it ran", stage).
			Hinted("run pipe log %s on the machine that deployed", stage)
	}
	return nil, diag.New(diag.NotFound, "%s has not run on this machine in the last 30 days, and %s does not list it", stage, lockfile.FileName).
		Hinted("pipe repro %s", stage)
}

// logAtCommit returns the log of the run that made what a commit's lock names. A deployment
// stands in no lock; it is the newest one from here, of that commit.
func (p *Project) logAtCommit(ctx context.Context, stage, rev string) (*Log, error) {
	lock, err := p.lockAtCommit(ctx, rev)
	if err == nil {
		stage, err = p.everNamed(stage, lock)
	}
	if err != nil {
		return nil, err
	}
	if block := lock.Stage(stage); block != nil {
		return p.logOf(ctx, recorded{id: runID(block), stage: stage})
	}
	hash, err := p.repo.Resolve(ctx, rev)
	if err != nil {
		return nil, err
	}
	l, err := p.logHere(stage, 1, func(r Run) bool { return r.Kind == "deploy" && r.Commit == hash })
	switch s := p.spec.Stage(stage); {
	case l != nil || err != nil:
	case s != nil && s.Deploy:
		err = diag.New(diag.NotFound, "%s was not deployed from commit %.12s on this machine in the last 30 days", stage, hash).Hinted("pipe log lists the runs on this machine")
	default:
		err = diag.New(diag.NotFound, "%s of commit %.12s does not list %s", lockfile.FileName, hash, stage).
			Hinted("choose another commit from git log --oneline %s", lockfile.FileName)
	}
	return l, err
}

// logByHash returns the log of the run with the hash: of one on this machine, failed ones too, by
// its key or log; else of a recorded one.
func (p *Project) logByHash(ctx context.Context, stage, text string) (*Log, error) {
	q := hashOf(text)
	if err := q.check("pipe log --hash HASH"); err != nil {
		return nil, err
	}
	lock, err := p.lock()
	if err == nil {
		stage, err = p.everNamed(stage, lock)
	}
	if err != nil {
		return nil, err
	}
	found, err := p.resolve(ctx, stage, q)
	if err == nil {
		return p.logOf(ctx, found[0])
	}
	if !diag.Is(err, diag.NotFound) {
		return nil, err
	}
	if l, lerr := p.printedBy(stage, q); l != nil || lerr != nil {
		return l, lerr
	}
	return nil, err
}

// printedBy returns the log of the newest run on this machine that a hash means, nil when it
// means none. All are looked at: the prefix may mean several.
func (p *Project) printedBy(stage string, q hashQuery) (*Log, error) {
	var all []recorded
	var newest Run
	at := ""
	err := p.eachRun(stage, func(r Run, name string) bool {
		of := q.means(recorded{id: r.id(), stage: r.Stage}, &object.Record{Log: r.Log})
		if len(of) > 0 && at == "" {
			newest, at = r, name
		}
		all = append(all, of...)
		return true
	})
	if err == nil {
		err = q.ambiguous(all)
	}
	if at == "" || err != nil {
		return nil, err
	}
	return p.printed(newest, at)
}

// logOf returns the log of a recorded run. Where the record, or its log, is out of reach, this
// machine's own run of the same build answers.
func (p *Project) logOf(ctx context.Context, of recorded) (*Log, error) {
	l, err := p.logByRecord(ctx, of)
	if err == nil {
		return l, nil
	}
	own, lerr := p.logHere(of.stage, 1, func(r Run) bool {
		return r.id() == of.id && r.Status == runlog.OK
	})
	if own != nil && lerr == nil {
		return own, nil
	}
	return nil, err
}

func (p *Project) logByRecord(ctx context.Context, of recorded) (*Log, error) {
	rec, from, err := p.lookup(ctx, of.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, p.unrecorded(of.stage, of.id)
	}
	if err != nil {
		return nil, err
	}
	if rec.FromLock {
		return nil, diag.New(diag.NotFound, "the log of %s (key %s) is not known: its record was made from %s", of.stage, of.id.Short(), lockfile.FileName).
			Hinted("run pipe log %s on the machine that built it", of.stage)
	}
	l := &Log{Run: p.runOf(rec), Source: from}
	if rec.Log.IsZero() {
		return l, nil // it printed nothing
	}
	c, err := p.carry(ctx)
	if err != nil {
		return nil, err
	}
	b, err := c.Log(ctx, rec.Log)
	if errors.Is(err, store.ErrNotFound) {
		return nil, diag.New(diag.NotFound, "the log of %s (key %s) is in neither the cache nor the remote", of.stage, of.id.Short()).
			Hinted("run pipe push %s on the machine that built it", of.stage)
	}
	l.Text = string(b)
	return l, err
}

// runOf is a record as a run.
func (p *Project) runOf(rec *object.Record) Run {
	r := Run{
		Stage: rec.Stage, Kind: "build", Status: runlog.OK, Key: rec.ID.Key, Generation: rec.ID.Generation, Project: rec.Project,
		By: rec.By, Builder: rec.Builder, Commit: rec.Commit, Version: rec.Version, At: rec.At, Seconds: rec.Seconds, Attempts: rec.Attempts, Log: rec.Log,
	}
	if s := p.spec.Stage(rec.Stage); s != nil && s.Check || s == nil && len(rec.Outs) == 0 {
		r.Kind = "check"
	}
	return r
}
