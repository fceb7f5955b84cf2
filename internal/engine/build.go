package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/aside"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// runBuild runs a build stage's command: DESIGN 6, step by step.
func (r *run) runBuild(ctx context.Context, a *attempt) error {
	if err := r.refuseTracked(ctx, a); err != nil {
		return err
	}
	if err := r.bringInputs(ctx, a.in); err != nil {
		return err
	}
	for _, h := range a.here {
		if h.found {
			if err := r.keepEdit(ctx, a, h); err != nil {
				return err
			}
		}
	}
	var paths []repopath.Path
	for _, o := range a.Stage.Outs {
		paths = append(paths, o.Path)
	}
	old, err := aside.Move(r.Work, a.Stage.Name, paths)
	if err != nil {
		return err
	}
	if err := r.persist(ctx, a); err != nil {
		return r.putBack(a, old, err)
	}
	log, seconds, err := r.command(ctx, a.state, r.Work.Root(), r.buildEnv(a))
	var outs []artifact.Output
	if err == nil {
		err = r.recheck(ctx, a)
	}
	if err == nil {
		outs, err = r.saveOuts(ctx, a)
	}
	if err == nil {
		outs, err = r.record(ctx, a, outs, log, seconds)
	}
	if err != nil {
		return r.putBack(a, old, err)
	}
	if err := old.Drop(); err != nil {
		return err
	}
	a.Outs = outs
	a.newLock = entry(a, outs)
	r.emit(event.Event{Type: event.Done, Stage: a.Stage.Name, Verb: event.Run, Outs: outs, Seconds: seconds, Key: a.Key.String()})
	return nil
}

// refuseTracked keeps pipe from overwriting what git keeps.
func (r *run) refuseTracked(ctx context.Context, a *attempt) error {
	if r.Tracked == nil {
		return nil
	}
	var paths []repopath.Path
	for _, o := range a.Stage.Outs {
		if !o.NoCache {
			paths = append(paths, o.Path)
		}
	}
	tracked, err := r.Tracked(ctx, paths)
	if err != nil || len(tracked) == 0 {
		return err
	}
	return diag.New(diag.Policy, "%s: git tracks the out %s; it would be overwritten", a.Stage.Name, tracked[0]).At(a.Stage.Place).
		Hinted("let git forget it (git rm -r --cached %s), or keep it in git alone: {path: %s, cache: false}", tracked[0], tracked[0])
}

// persist puts copies of the old persistent outs in their places, for the command
// to go on from. The originals lie aside, so that a failure or kill costs nothing.
func (r *run) persist(ctx context.Context, a *attempt) error {
	for _, h := range a.here {
		if h.spec.Persist && h.found {
			if err := r.Work.Checkout(ctx, r.Cache, h.out, h.tree); err != nil {
				return err
			}
		}
	}
	return nil
}

// putBack restores the old outs after a failure and says what was kept.
func (r *run) putBack(a *attempt, old *aside.Outs, err error) error {
	partial, rerr := old.Restore()
	for _, p := range partial {
		r.note(a.Stage.Name, "what the command left is in %s", p)
	}
	return errors.Join(err, rerr)
}

// recheck reads the inputs again: a change while the command ran is never recorded.
func (r *run) recheck(ctx context.Context, a *attempt) error {
	after, err := r.gather(ctx, a.state)
	if err != nil {
		return err
	}
	diff := changed(a.in, after)
	for _, o := range a.in.made {
		here, _, err := r.Work.Output(ctx, o.Path)
		if err != nil || !here.Same(o) {
			diff = append(diff, string(o.Path))
		}
	}
	if len(diff) == 0 {
		return nil
	}
	return diag.New(diag.Stage, "%s: %s changed while the command ran, so its result is not recorded", a.Stage.Name, strings.Join(diff, ", ")).
		At(a.Stage.Place).Hinted("run pipe repro again; if the command itself writes there, that file is no dep of it")
}

// saveOuts hashes the outs into the cache.
func (r *run) saveOuts(ctx context.Context, a *attempt) ([]artifact.Output, error) {
	var outs []artifact.Output
	for _, o := range a.Stage.Outs {
		var out artifact.Output
		var err error
		if o.NoCache {
			out, _, err = r.Work.Output(ctx, o.Path)
		} else {
			out, err = r.Work.Save(ctx, r.Cache, o.Path)
		}
		if errors.Is(err, worktree.ErrAbsent) {
			return nil, diag.New(diag.Stage, "%s: the command ended well but made no %s", a.Stage.Name, o.Path).At(o.Place).
				Hinted("correct the path in outs, or the command")
		}
		if err != nil {
			return nil, err
		}
		if o.Dir && !out.Dir {
			return nil, diag.New(diag.Stage, "%s: the out %s/ is a file, not a directory", a.Stage.Name, o.Path).At(o.Place).
				Hinted("write it without the slash")
		}
		outs = append(outs, out)
	}
	return outs, nil
}

// record makes the outs those of the key, everywhere, or adopts those of the
// first that did.
func (r *run) record(ctx context.Context, a *attempt, outs []artifact.Output, log []byte, seconds float64) ([]artifact.Output, error) {
	rec := object.Record{ID: a.id(), Stage: a.Stage.Name, Outs: outs, Stamp: r.Stamp, At: r.Now(), Seconds: seconds}
	notes, err := r.keepNotes(ctx, a.in, log)
	if err != nil {
		return nil, err
	}
	if len(log) > 0 {
		rec.Log = digest.Of(log)
	}
	if a.Stage.AlwaysChanged {
		return outs, r.publish(ctx, a, outs, notes)
	}
	if r.lost[a.Stage.Name] != nil {
		if err := r.raiseLost(ctx, a, outs); err != nil {
			return nil, err
		}
		rec.ID = a.id()
	}
	value, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	winner := value
	if err := r.publish(ctx, a, outs, notes); err != nil {
		return nil, err
	}
	if r.opt.Push && !local(a) {
		if winner, err = r.Records.Record(ctx, a.id(), value); err != nil {
			return nil, err
		}
		if err := r.Cache.Adopt(ctx, a.id(), winner); err != nil {
			return nil, err
		}
	} else if winner, err = r.Cache.Record(ctx, a.id(), value); err != nil {
		return nil, err
	}
	return r.adopt(ctx, a, outs, winner)
}

// raise gives a deliberate rebuild a generation of its own, which has no record
// yet: the earlier ones stand for ever.
func (r *run) raise(ctx context.Context, a *attempt) error {
	latest, err := r.latest(ctx, a.Key)
	if err != nil {
		return err
	}
	known := a.locked != nil && a.locked.Key == a.Key
	switch {
	case latest != nil && known:
		a.Generation = max(latest.ID.Generation, a.locked.Generation) + 1
	case latest != nil:
		a.Generation = latest.ID.Generation + 1
	case known:
		a.Generation = a.locked.Generation + 1
	}
	return nil
}

// raiseLost does so for a rebuild of lost bytes, if they came out differently.
func (r *run) raiseLost(ctx context.Context, a *attempt, outs []artifact.Output) error {
	first, err := r.lookup(ctx, a.id())
	if err != nil || first == nil || slices.EqualFunc(first.Outs, outs, artifact.Output.Same) {
		return err
	}
	return r.raise(ctx, a)
}

// local reports whether an out of the stage must not leave this machine.
func local(a *attempt) bool {
	for _, o := range a.Stage.Outs {
		if o.NoPush {
			return true
		}
	}
	return false
}

// keepNotes puts what is worth knowing of a run into the cache: what it printed,
// and the lists of its inputs, by which pipe why names the very file that changed.
func (r *run) keepNotes(ctx context.Context, in *gathered, log []byte) (notes []object.Ref, err error) {
	all := map[object.Ref][]byte{}
	if len(log) > 0 {
		all[object.Ref{Shelf: object.Logs, Digest: digest.Of(log)}] = log
	}
	for _, t := range in.trees {
		if t != nil {
			all[object.Ref{Shelf: object.Inputs, Digest: t.Digest()}] = t.Encode()
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	batch, err := r.Cache.Begin()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	for ref, b := range all {
		if err := batch.Put(ctx, ref, store.Bytes(b)); err != nil {
			return nil, err
		}
		notes = append(notes, ref)
	}
	return notes, batch.Commit()
}

// publish puts outs and notes into the remote, ahead of the record that names them.
func (r *run) publish(ctx context.Context, a *attempt, outs []artifact.Output, notes []object.Ref) error {
	if !r.opt.Push {
		return nil
	}
	var send []artifact.Output
	for i, o := range outs {
		if !a.Stage.Outs[i].NoCache && !a.Stage.Outs[i].NoPush {
			send = append(send, o)
		}
	}
	return r.Carrier.Publish(ctx, send, notes...)
}

// ensurePublished gives the remote a stage that need not run, if it lacks the
// record or an object: with Push, whatever the lock names can be fetched by everybody.
func (r *run) ensurePublished(ctx context.Context, a *attempt) error {
	if !r.opt.Push || r.opt.Dry {
		return nil
	}
	if a.Stage.AlwaysChanged || local(a) {
		return r.publishMissing(ctx, a)
	}
	winner, err := r.Records.Lookup(ctx, a.id())
	if errors.Is(err, store.ErrNotFound) {
		winner, err = r.publishKnown(ctx, a)
	}
	if err != nil {
		return err
	}
	outs, err := r.adopt(ctx, a, a.Outs, winner)
	if err != nil {
		return err
	}
	if slices.Equal(outs, a.Outs) {
		return r.publishMissing(ctx, a)
	}
	a.Outs, a.newLock = outs, entry(a, outs)
	return r.Cache.Adopt(ctx, a.id(), winner)
}

// publishMissing publishes the outs of which the remote has lost, or never had, the object.
func (r *run) publishMissing(ctx context.Context, a *attempt) error {
	for i, o := range a.Outs {
		if a.Stage.Outs[i].NoCache || a.Stage.Outs[i].NoPush {
			continue
		}
		there, err := r.Carrier.Has(ctx, object.Of(o))
		if err != nil {
			return err
		}
		if !there {
			_, err = r.publishKnown(ctx, a)
			return err
		}
	}
	return nil
}

// publishKnown publishes what the lock names of a stage, and its record, which it
// returns as it is in the remote then.
func (r *run) publishKnown(ctx context.Context, a *attempt) ([]byte, error) {
	for i, h := range a.here {
		// The workspace may be the only one that has the bytes.
		if h.found && h.out.Same(a.Outs[i]) && !h.spec.NoCache {
			if _, err := r.Work.Save(ctx, r.Cache, h.spec.Path); err != nil {
				return nil, err
			}
		}
	}
	if err := r.publish(ctx, a, a.Outs, nil); err != nil {
		return nil, err
	}
	if a.Stage.AlwaysChanged || local(a) {
		return nil, nil
	}
	value, err := r.Cache.Lookup(ctx, a.id())
	if errors.Is(err, store.ErrNotFound) {
		rec := object.Record{ID: a.id(), Stage: a.Stage.Name, Outs: a.Outs, Stamp: r.Stamp, FromLock: true}
		value, err = rec.Encode()
	}
	if err != nil {
		return nil, err
	}
	return r.Records.Record(ctx, a.id(), value)
}

// adopt takes the winner's outs in place of ours when they differ.
func (r *run) adopt(ctx context.Context, a *attempt, outs []artifact.Output, winner []byte) ([]artifact.Output, error) {
	first, err := object.ParseRecord(winner, a.id())
	if err != nil {
		return nil, diag.New(diag.Integrity, "%w", err).At(store.RecordPath(a.id()))
	}
	if !Fits(a.Stage, first.Outs) {
		return nil, diag.New(diag.Integrity, "the record has other outs than the stage").At(store.RecordPath(a.id()))
	}
	for i := range outs {
		if a.Stage.Outs[i].NoCache {
			// Its bytes travel in git, not with the record: ours are what there is.
			first.Outs[i] = outs[i]
		}
	}
	if slices.EqualFunc(first.Outs, outs, artifact.Output.Same) {
		return outs, nil
	}
	r.note(a.Stage.Name, "%s built the same inputs first; its outs are taken", first.By)
	for i, o := range first.Outs {
		if o.Same(outs[i]) {
			continue
		}
		if err := r.put(ctx, a.index, o); err != nil {
			return nil, err
		}
	}
	return first.Outs, nil
}

// buildEnv is what a build command sees: little but what the stage declares, so
// that its result depends on nothing else.
func (r *run) buildEnv(a *attempt) []string {
	var env []string
	if r.Project.Loose {
		env = slices.Clone(r.Environ)
	} else {
		for _, kv := range r.Environ {
			name, _, _ := strings.Cut(kv, "=")
			if isBasic(name) {
				env = append(env, kv)
			}
		}
	}
	return r.addEnv(env, a.state, a.in, r.Work.Root())
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

// addEnv adds the declared variables, what pipe says of the stage, and a hash
// variable for every dep and every out among the deps.
func (r *run) addEnv(env []string, st *state, in *gathered, root string) []string {
	for _, e := range in.Env {
		if e.Set {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	env = append(env, "PIPE_STAGE="+st.Stage.Name, "PIPE_ROOT="+root)
	return append(env, action.Variables(hashes(in))...)
}

func hashes(in *gathered) []action.Named {
	var list []action.Named
	for _, d := range in.Deps {
		list = append(list, action.Named{Path: d.Path, Digest: d.Digest})
	}
	for _, o := range in.made {
		list = append(list, action.Named{Path: o.Path, Digest: o.Digest})
	}
	return list
}

// wdir returns the working directory, which must be there.
func wdir(root string, st *state) (string, error) {
	dir := root + string(os.PathSeparator) + string(st.Stage.Wdir)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", st.Stage.Wdir)
	}
	if err != nil {
		return "", diag.New(diag.Usage, "%s: wdir: %w", st.Stage.Name, err).At(st.Stage.Place).Hinted("create it: mkdir -p %s", st.Stage.Wdir)
	}
	return dir, nil
}
