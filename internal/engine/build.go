package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/runlog"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// runBuild has the runner make a build stage's outs, and records them. The old outputs are
// dropped only when the new ones are recorded: after any failure the workspace has again what
// the lock names. The lock's entry comes last, with what the record says.
func (r *run) runBuild(ctx context.Context, a *attempt) (err error) {
	if err := r.ready(ctx); err != nil {
		return err
	}
	if err := r.bring(ctx, a.in); err != nil {
		return err
	}
	log := r.newLog(a.state, a.in)
	var made *action.Made
	defer func() { r.ended(ctx, a.state, log, made, err) }()
	made, err = r.Runner.Run(ctx, r.job(a.state, a.in, log))
	if err != nil {
		return r.lostOr(log.Explain(a.Stage, err))
	}
	outs, err := r.record(ctx, a, made, log)
	if err == nil {
		err = r.mended(ctx, a, outs)
	}
	if err := errors.Join(err, made.Settle(err == nil)); err != nil {
		return err
	}
	a.Outs = outs
	a.newLock = r.entry(a, outs)
	done := told(&a.Outcome, event.Done)
	done.Because, done.Seconds, done.Attempt = nil, made.Seconds, log.Run.Attempts
	r.emit(done)
	return nil
}

// job describes one run of a stage's command in the project. Every line that the command
// prints is masked before anyone sees it.
func (r *run) job(st *state, in *gathered, log *runlog.Output) *action.Job {
	log.Begin(r.Runs)
	r.emit(event.Event{Type: event.Started, Stage: st.Stage.Name, Check: st.Stage.Check, Verb: event.Run})
	job := r.inputsOf(st, in)
	job.Env = r.environ(st, in)
	job.Again = func(attempt int, failed error) { r.emit(log.Again(st.Stage, attempt, failed)) }
	job.Line = func(line []byte) {
		if text, ok := log.Add(line); ok {
			r.emit(event.Event{Type: event.Output, Stage: st.Stage.Name, Text: text})
		}
	}
	return job
}

// inputsOf is the part of a job that says what the command reads.
func (r *run) inputsOf(st *state, in *gathered) *action.Job {
	return &action.Job{
		Stage: st.Stage, Inputs: inputTree(in), Under: in.under, Made: in.made, Above: in.above, Reads: in.reads, Params: in.Params, Recorded: lockedOuts(st),
	}
}

// record makes the outs those of the key, everywhere, or adopts those of the first that did.
// An always_changed stage has no record: the same inputs say nothing about its result. After
// an error nothing counts as recorded, and the runner puts the old outputs back.
func (r *run) record(ctx context.Context, a *attempt, made *action.Made, log *runlog.Output) ([]artifact.Output, error) {
	rec := &object.Record{
		Stage: a.Stage.Name, Outs: made.Outs, Stamp: r.Stamp, Platform: a.in.Platform, At: r.Now(), Seconds: made.Seconds, Attempts: log.Run.Attempts,
		FromLock: made.Earlier,
	}
	if err := r.keepNotes(ctx, a.in, log.Bytes(), rec); err != nil {
		return nil, err
	}
	if a.Stage.AlwaysChanged {
		if !r.opt.Push {
			return made.Outs, nil
		}
		_, _, err := r.Ensure(ctx, a.Stage, r.entry(a, made.Outs))
		return made.Outs, err
	}
	if len(a.lost) > 0 {
		if err := r.raiseLost(ctx, a, made.Outs); err != nil {
			return nil, err
		}
	}
	rec.ID = a.id()
	winner, err := r.first(ctx, a, rec)
	if err != nil {
		return nil, err
	}
	outs, _, err := r.Adopt(ctx, a.Stage, made.Outs, winner)
	return outs, r.lostOr(err)
}

// first records what was made, in the remote when it is published at once, else in the cache,
// and returns the record that counts. With Push the remote decides and the cache follows it,
// even where it has a record of its own. Without it the cache's own first record stands.
func (r *run) first(ctx context.Context, a *attempt, rec *object.Record) (*object.Record, error) {
	if r.opt.Push && !isLocal(a.Stage) {
		winner, err := r.Publish(ctx, a.Stage, r.entry(a, rec.Outs), rec)
		if err != nil {
			return nil, err
		}
		value, err := winner.Encode()
		if err != nil {
			return nil, err
		}
		return winner, r.Cache.Adopt(ctx, rec.ID, value)
	}
	if r.opt.Push {
		// Some outs stay here, but those that others may have are published.
		if _, _, err := r.Ensure(ctx, a.Stage, r.entry(a, rec.Outs)); err != nil {
			return nil, err
		}
	}
	value, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	if value, err = r.Cache.Record(ctx, rec.ID, value); err != nil {
		return nil, err
	}
	return parsed(value, rec.ID)
}

// raise gives a deliberate rebuild a generation of its own, which has no record yet: the
// earlier ones stand for ever. Lock and records are both asked: another machine may have
// recorded a later one, and a lock may name one that was never published. Generation 0 stays
// when neither knows the key.
func (r *run) raise(ctx context.Context, a *attempt) error {
	latest, err := r.latest(ctx, a)
	if err != nil {
		return err
	}
	last := -1
	if latest != nil {
		last = latest.ID.Generation
	}
	if a.locked != nil && a.locked.Key == a.Key {
		last = max(last, a.locked.Generation)
	}
	a.Generation = last
	if err := a.mayRise(); err != nil {
		return err
	}
	a.Generation++
	return nil
}

// mayRise refuses a generation that no reader would take, before a command runs for it.
func (a *attempt) mayRise() error {
	if a.Generation < artifact.MaxGeneration {
		return nil
	}
	return diag.New(diag.Policy, "%s cannot be rebuilt from the same inputs: pipe.lock or a record names generation %d, the last one", a.Stage.Name, a.Generation).
		At(a.Stage.Place).Hinted("change the stage's definition (a comment in cmd is enough) and run pipe repro")
}

// keepNotes puts what is worth knowing of a run into the cache, and names it in the record:
// what it printed, and the lists of its inputs, by which pipe why names the very file that
// changed. They are written before the record, so that it never names what was not kept.
func (r *run) keepNotes(ctx context.Context, in *gathered, log []byte, rec *object.Record) (err error) {
	all := map[object.Ref][]byte{}
	if len(log) > 0 {
		rec.Log = digest.Of(log)
		all[object.Ref{Shelf: object.Logs, Digest: rec.Log}] = log
	}
	for _, t := range in.trees {
		if t != nil {
			ref := object.Ref{Shelf: object.Inputs, Digest: t.Digest()}
			if all[ref] == nil { // deps may have equal lists
				all[ref] = t.Encode()
				rec.Inputs = append(rec.Inputs, ref.Digest)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	batch, err := r.Cache.Begin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	for ref, b := range all {
		if err := batch.Put(ctx, ref, store.Bytes(b)); err != nil {
			return err
		}
	}
	return batch.Commit()
}

// entry returns how a stage stands in the lock.
func (r *run) entry(a *attempt, outs []artifact.Output) *lockfile.Stage {
	in := a.in.Inputs
	l := &lockfile.Stage{Name: a.Stage.Name, Key: a.Key, Generation: a.Generation, Cmd: action.CmdDigest(a.Stage), Deps: in.Deps, Asked: in.Asked, Outs: outs}
	for _, p := range in.Params {
		l.Params = append(l.Params, in.LockParam(p))
	}
	for _, e := range in.Env {
		l.Env = append(l.Env, action.LockEnv(e))
	}
	return l
}

// environ is what a command sees. A build command sees little but what its stage
// declares, so that its result depends on nothing else; one that an input of a deploy stage comes from sees
// everything, credentials too. The hash variables are those of its own inputs.
func (r *run) environ(st *state, in *gathered) []string {
	var env []string
	for _, kv := range r.Environ {
		name, _, _ := strings.Cut(kv, "=")
		if (st.Stage.Deploy || r.Project.Loose || isBasic(name)) && !action.IsHashVariable(name) {
			env = append(env, kv)
		}
	}
	for _, e := range r.outside(st.Stage, in.Env) {
		if e.Set {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	var hashes []action.Named
	for _, d := range in.Deps {
		hashes = append(hashes, action.Named{Path: d.Path, Hash: d.Digest.Hex()})
	}
	var sums []action.Named
	for at, o := range in.outputs {
		if !in.isWhole(at, o) {
			continue // no part of the key is the hash of the whole
		}
		hashes = append(hashes, action.Named{Path: o.Path, Hash: o.Digest.Hex()})
		if o.SHA256 != "" {
			sums = append(sums, action.Named{Path: o.Path, Hash: o.SHA256})
		}
	}
	env = append(env, action.Variables(action.HashPrefix, hashes)...)
	return append(env, action.Variables(action.SHA256Prefix, sums)...)
}

// isBasic names the variables that every command sees: where programs and
// temporary files are, who runs them, in which language they speak, and how
// they reach the network. They do not belong to the key.
func isBasic(name string) bool {
	switch strings.ToUpper(name) {
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "TZ",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "DOCKER_HOST",
		"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
		"SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMFILES", "WINDIR":
		return true
	}
	return strings.HasPrefix(name, "LC_")
}
