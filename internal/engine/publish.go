package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Publisher puts what stages made into the remote: objects first, then the record
// that names them, so that a crash leaves garbage and never a lie.
type Publisher struct {
	*local.Workspace
	Records store.Index  // the remote's; nil: there is none
	Stamp   object.Stamp // of records made from a lock: its project and version
	// Repair has a damaged record of the remote count as none, and be replaced. Without it
	// it is an error: it may stand for other outputs than ours.
	Repair bool
}

// Ensure gives the remote a stage that need not run, as the lock names it: its record and
// objects, if they are missing. It returns the record that the remote has then and whether it
// was written now; no record when the stage has none, because it always runs or its outputs
// stay on this machine. It may be repeated at any time: objects are named by their content and
// the record is written only where there is none.
func (p *Publisher) Ensure(ctx context.Context, s *spec.Stage, l *lockfile.Stage) (rec *object.Record, fresh bool, err error) {
	if s.AlwaysChanged || isLocal(s) {
		return nil, false, p.objects(ctx, s, l, nil)
	}
	id := runID(l)
	rec, err = p.published(ctx, p.Records, id)
	if errors.Is(err, store.ErrNotFound) {
		if rec, err = p.known(ctx, l); err != nil {
			return nil, false, err
		}
		rec, err = p.Publish(ctx, s, l, rec)
		return rec, true, err
	}
	if err != nil {
		return nil, false, err
	}
	// A record implies its objects, but somebody may have removed them.
	for _, o := range pushed(s, l.Outs) {
		there, err := p.Carrier.HasOutput(ctx, o)
		if err != nil {
			return nil, false, err
		}
		if !there && slices.ContainsFunc(rec.Outs, o.Same) {
			return rec, false, p.objects(ctx, s, l, rec)
		}
	}
	return rec, false, nil
}

// Publish puts the stage's objects into the remote, and then rec, unless there is a record
// already. It returns the one that is there then: the first wins, and the loser adopts it. A
// crash in between leaves objects that no record names, and the next call finds them there.
func (p *Publisher) Publish(ctx context.Context, s *spec.Stage, l *lockfile.Stage, rec *object.Record) (*object.Record, error) {
	if err := p.objects(ctx, s, l, rec); err != nil {
		return nil, err
	}
	value, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	winner, err := p.Records.Record(ctx, rec.ID, value)
	var first *object.Record
	if err == nil {
		first, err = parsed(winner, rec.ID)
	}
	if a, ok := store.As[store.Adopter](p.Carrier.Remote); ok && p.Repair && diag.Is(err, diag.Integrity) {
		return rec, a.Adopt(ctx, rec.ID, value)
	}
	return first, err
}

// published returns a record of the remote.
func (p *Publisher) published(ctx context.Context, ix store.Index, id object.RunID) (*object.Record, error) {
	rec, err := Lookup(ctx, ix, id)
	if p.Repair && diag.Is(err, diag.Integrity) {
		return nil, store.ErrNotFound
	}
	return rec, err
}

// objects publishes the outputs that may leave this machine, with the log and the lists of
// inputs where the cache has them. The workspace may be the only place that has the bytes. Of
// an output with cache: false the record has the digest, and git has the bytes.
func (p *Publisher) objects(ctx context.Context, s *spec.Stage, l *lockfile.Stage, rec *object.Record) error {
	outs := pushed(s, l.Outs)
	for _, o := range outs {
		if err := p.Rescue(ctx, o); err != nil {
			return err
		}
	}
	var notes []object.Ref
	if rec != nil && !rec.Log.IsZero() {
		notes = append(notes, object.Ref{Shelf: object.Logs, Digest: rec.Log})
	}
	for _, d := range l.Deps {
		if d.Kind.Plain() != artifact.OneFile {
			notes = append(notes, object.Ref{Shelf: object.Inputs, Digest: d.Digest})
		}
	}
	return p.Carrier.Publish(ctx, outs, notes...)
}

// known returns the cache's record of a lock's stage, which tells who ran it; else one made
// from the lock. A cache's record counts only if it names the same outputs; else it is about
// another build. One made from the lock says so, because nobody knows any more who ran the
// command.
func (p *Publisher) known(ctx context.Context, l *lockfile.Stage) (*object.Record, error) {
	rec, err := p.cached(ctx, l.Name, runID(l), false)
	if err == nil && slices.EqualFunc(rec.Outs, l.Outs, same) {
		return p.withNotes(ctx, rec)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return &object.Record{ID: runID(l), Stage: l.Name, Outs: l.Outs, Stamp: p.Stamp, FromLock: true}, nil
}

// withNotes leaves out of a record that nobody has yet the log and the lists that the cache
// has lost: what a record names, the remote has.
func (p *Publisher) withNotes(ctx context.Context, rec *object.Record) (_ *object.Record, err error) {
	lost := func(ref object.Ref) bool {
		_, serr := p.Cache.Stat(ctx, ref)
		if serr != nil && !errors.Is(serr, store.ErrNotFound) {
			err = errors.Join(err, serr)
		}
		return serr != nil
	}
	r := *rec
	if !r.Log.IsZero() && lost(object.Ref{Shelf: object.Logs, Digest: r.Log}) {
		r.Log = digest.Digest{}
	}
	r.Inputs = slices.DeleteFunc(slices.Clone(r.Inputs), func(d digest.Digest) bool { return lost(object.Ref{Shelf: object.Inputs, Digest: d}) })
	return &r, err
}

// Adopt takes the outputs of rec in place of ours where they differ: into the cache's record
// and, where something lies there, into the workspace. It returns what counts then, and
// whether that differs from ours. The workspace comes first and the cache's record last: after
// a crash in between, the outputs still differ and the next call adopts again.
func (p *Publisher) Adopt(ctx context.Context, s *spec.Stage, ours []artifact.Output, rec *object.Record) (outs []artifact.Output, differs bool, err error) {
	if !Fits(s, rec.Outs) {
		if samePaths(s, rec.Outs) {
			return nil, false, diag.New(diag.Integrity, "the record of stage %s was made with another sha256 or kind of output than pipe.yaml declares", s.Name).
				At(store.RecordPath(rec.ID)).Hinted("run pipe repro --force %s", s.Name)
		}
		return nil, false, diag.New(diag.Integrity, "the record of stage %s does not list the outputs in pipe.yaml", s.Name).At(store.RecordPath(rec.ID)).
			Hinted("the record is damaged or forged; delete it to build again")
	}
	outs = slices.Clone(rec.Outs)
	for i := range outs {
		if s.Outs[i].NoCache {
			// Its bytes travel in git, not with the record: ours are what there is.
			outs[i] = ours[i]
		}
		differs = differs || !same(outs[i], ours[i])
	}
	if !differs {
		return ours, false, nil
	}
	p.Note(s.Name, fmt.Sprintf("%s built the same inputs first; using those outputs", builtBy(rec)))
	for i, o := range outs {
		if o.Same(ours[i]) {
			continue
		}
		if _, _, err := p.Work.Output(ctx, o.Path); errors.Is(err, worktree.ErrAbsent) {
			continue // nothing lies there that could be wrong
		}
		if _, err := p.Place(ctx, s.Name, o, ours); err != nil {
			return nil, true, err
		}
	}
	value, err := rec.Encode()
	if err != nil {
		return nil, true, err
	}
	return outs, true, p.Cache.Adopt(ctx, rec.ID, value)
}

// builtBy names who made a record, as far as it says.
func builtBy(rec *object.Record) string {
	if rec.By == "" {
		return "another machine"
	}
	return rec.By
}

// Lookup returns a record of an index; none is store.ErrNotFound.
func Lookup(ctx context.Context, ix store.Index, id object.RunID) (*object.Record, error) {
	b, err := ix.Lookup(ctx, id)
	if diag.Is(err, diag.Integrity) {
		return nil, diag.New(diag.Integrity, "%w", err).Hinted(recordHint)
	}
	if err != nil {
		return nil, err
	}
	return parsed(b, id)
}

// cached returns a record of the cache. The cache is a copy: a record that is damaged there is
// moved to corrupt/ and counts as none, so that the remote is asked for it, or the stage runs
// again. A question (dry) leaves it where it is.
func (p *Publisher) cached(ctx context.Context, stage string, id object.RunID, dry bool) (*object.Record, error) {
	rec, err := Lookup(ctx, p.Cache, id)
	if !diag.Is(err, diag.Integrity) {
		return rec, err
	}
	if !dry {
		p.Note(stage, fmt.Sprintf("the cached record is damaged (moved to corrupt/ in the cache): %v", err))
		if err := p.Cache.QuarantineRecord(id); err != nil {
			return nil, err
		}
	}
	return nil, store.ErrNotFound
}

// parsed reads a record. Its damage is told with the place; what a newer pipe
// wrote keeps its own words.
func parsed(b []byte, id object.RunID) (*object.Record, error) {
	rec, err := object.ParseRecord(b, id)
	var known *diag.Error
	if err == nil || errors.As(err, &known) {
		return rec, err
	}
	return nil, diag.New(diag.Integrity, "%w", err).At(store.RecordPath(id)).
		Hinted(recordHint)
}

// recordHint is the way out of a damaged record in a remote; one in the cache counts as none.
const recordHint = "run pipe push --repair on a machine that has its outputs, or build it again: pipe repro --rebuild-missing, then pipe push --repair"

// runID names the record that a block of the lock stands for.
func runID(l *lockfile.Stage) object.RunID {
	return object.RunID{Key: l.Key, Generation: l.Generation}
}

// Fits reports whether outputs from a record or a lock are what the stage declares:
// at its paths and nowhere else, a directory where it says so, and with a SHA-256
// exactly where it asks for one, because commands are told what stands there.
// Every list that pipe writes is sorted by path, so one in another order does not fit.
func Fits(s *spec.Stage, outs []artifact.Output) bool {
	return slices.EqualFunc(s.Outs, outs, func(o spec.Out, x artifact.Output) bool {
		return o.Path == x.Path && (x.Dir || !o.Dir) && o.SHA256 == (x.SHA256 != "")
	})
}

// samePaths reports whether only what the key does not hold keeps outputs from
// fitting: the stage was declared otherwise when they were made.
func samePaths(s *spec.Stage, outs []artifact.Output) bool {
	return slices.EqualFunc(s.Outs, outs, func(o spec.Out, x artifact.Output) bool { return o.Path == x.Path })
}

// same reports whether a record and a lock say the same of an output.
func same(a, b artifact.Output) bool { return a.Same(b) && a.SHA256 == b.SHA256 }

// isLocal reports whether an output of the stage must not leave this machine.
func isLocal(s *spec.Stage) bool {
	return slices.ContainsFunc(s.Outs, func(o spec.Out) bool { return o.NoPush })
}

// pushed returns the outputs whose bytes may be published.
func pushed(s *spec.Stage, outs []artifact.Output) (all []artifact.Output) {
	for i, o := range outs {
		if !s.Outs[i].NoCache && !s.Outs[i].NoPush {
			all = append(all, o)
		}
	}
	return all
}
