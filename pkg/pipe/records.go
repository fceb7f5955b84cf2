package pipe

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/view"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// recorded is a build that somebody asks about: what a lock or a record says of it.
type recorded struct {
	id      object.RunID
	stage   string
	build   *history.Build // nil: no lock that was looked at names it
	hash    digest.Digest  // that was asked for
	meaning string         // of the hash, in words
}

// lookup returns a build's record and where it was: from the cache, else from the remote. None is
// store.ErrNotFound. A damaged copy in the cache counts as none.
func (p *Project) lookup(ctx context.Context, id object.RunID) (rec *object.Record, from string, err error) {
	rec, err = engine.Lookup(ctx, p.cache, id)
	if err == nil || !errors.Is(err, store.ErrNotFound) && !diag.Is(err, diag.Integrity) {
		return rec, inCache, err
	}
	shared, rerr := p.openRemote(ctx)
	if rerr != nil {
		return nil, "", rerr
	}
	if shared == nil {
		return nil, "", err
	}
	rec, err = engine.Lookup(ctx, shared, id)
	return rec, inRemote, err
}

// Where an answer about a run comes from.
const (
	onMachine = "machine" // this machine's own runs
	inCache   = "cache"   // the record in the cache
	inRemote  = "remote"  // the record in the remote
	inLock    = "lock"    // pipe.lock alone: there is no record
)

// hashQuery is what a user wrote in place of a hash.
type hashQuery struct {
	text       string
	prefix     string // hexadecimal digits; none: it is no hash
	generation int    // of a key that ends in .N; -1: not said
}

// hashOf reads the beginning of a hash, with or without blake3: or k1:, and behind a key its
// generation.
func hashOf(text string) hashQuery {
	h := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(text), digest.Prefix), digest.KeyPrefix)
	q := hashQuery{text: text, generation: -1}
	h, n, dotted := strings.Cut(h, ".")
	if g, err := strconv.Atoi(n); dotted && err == nil && g >= 0 {
		q.generation, dotted = g, false
	}
	if !dotted && len(h) <= 2*digest.Size && strings.Trim(h, "0123456789abcdef") == "" {
		q.prefix = h
	}
	return q
}

// check refuses what is no hash, and what would match too much.
func (q hashQuery) check(next string) error {
	switch {
	case q.prefix == "":
		return diag.New(diag.Usage, "%q is not a hash", q.text).Hinted("%s", next)
	case len(q.prefix) < minPrefix:
		return diag.New(diag.Usage, "%q is too short: give at least %d digits", q.text, minPrefix).Hinted("%s", next)
	}
	return nil
}

func (q hashQuery) fits(h string) bool { return strings.HasPrefix(h, q.prefix) }

// resolve returns the builds that a hash means, the newest first: by key, output or log; an empty
// stage is any. The places that cost least are asked first, and the first that knows the hash
// answers: locks, then the records of the cache, then, for a whole key, the remote. All returned
// builds have the same hash; several hashes with the prefix are an error that names them.
func (p *Project) resolve(ctx context.Context, stage string, q hashQuery) ([]recorded, error) {
	found, err := p.inLocks(ctx, stage, q)
	if err == nil && len(found) == 0 {
		found, err = p.inRecords(ctx, stage, q)
	}
	if err == nil && len(found) == 0 && len(q.prefix) == 2*digest.Size {
		found, err = p.byKey(ctx, stage, q)
	}
	if err == nil && len(found) == 0 {
		err = diag.New(diag.NotFound, "no record of a run with the hash %s", q.text).
			Hinted("pipe find %s looks for files and artifacts; pipe log lists the runs on this machine", q.prefix)
	}
	if err != nil {
		return nil, err
	}
	return found, q.ambiguous(found)
}

// ambiguous lists the hashes that the prefix may mean.
func (q hashQuery) ambiguous(found []recorded) error {
	var lines []string
	for _, f := range found {
		line := fmt.Sprintf("%s  %s", f.hash.Hex(), f.meaning)
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, f := range found {
		if f.hash != found[0].hash {
			return diag.New(diag.Usage, "%s is the prefix of several hashes:\n%s", q.text, strings.Join(view.Few(lines, 10), "\n")).Hinted("give more digits")
		}
	}
	return nil
}

// inLocks looks through the workspace's lock and those of the history.
func (p *Project) inLocks(ctx context.Context, stage string, q hashQuery) (found []recorded, err error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	builds, err := history.Builds(ctx, p.repo, p.lockAt, lock, func(s *lockfile.Stage) bool {
		return (stage == "" || s.Name == stage) && len(q.means(recorded{id: runID(s), stage: s.Name}, &object.Record{Outs: s.Outs})) > 0
	}, p.leftOut)
	for _, b := range builds {
		found = append(found, q.means(recorded{id: b.ID(), stage: b.Name, build: b}, &object.Record{Outs: b.Outs})...)
	}
	return found, err
}

// means returns r once for each of its hashes that the query may mean.
func (q hashQuery) means(r recorded, rec *object.Record) (found []recorded) {
	add := func(d digest.Digest, format string, args ...any) {
		if !d.IsZero() && q.fits(d.Hex()) && !slices.ContainsFunc(found, func(f recorded) bool { return f.hash == d }) {
			r.hash, r.meaning = d, fmt.Sprintf(format, args...)
			found = append(found, r)
		}
	}
	if q.generation < 0 || q.generation == r.id.Generation {
		add(digest.Digest(r.id.Key), "key of stage %s", r.stage)
	}
	if q.generation >= 0 {
		return found
	}
	for _, o := range rec.Outs {
		add(o.Digest, "output %s of stage %s", o.Path, r.stage)
	}
	add(rec.Log, "log of stage %s", r.stage)
	return found
}

// inRecords looks through the cache's records, for what no lock names, and for logs. Those that
// cannot be read are left out.
func (p *Project) inRecords(ctx context.Context, stage string, q hashQuery) (found []recorded, err error) {
	type dated struct {
		*object.Record
		of []recorded
	}
	var all []dated
	err = p.cache.Runs(ctx, func(id object.RunID) error {
		rec, err := engine.Lookup(ctx, p.cache, id)
		if err == nil && (stage == "" || rec.Stage == stage) {
			all = append(all, dated{rec, q.means(recorded{id: id, stage: rec.Stage}, rec)})
		}
		return ctx.Err()
	})
	slices.SortStableFunc(all, func(a, b dated) int { return b.At.Compare(a.At) })
	for _, d := range all {
		found = append(found, d.of...)
	}
	return found, err
}

// byKey asks for the record that a whole key names.
func (p *Project) byKey(ctx context.Context, stage string, q hashQuery) ([]recorded, error) {
	b, err := hex.DecodeString(q.prefix)
	if err != nil {
		return nil, err
	}
	id := object.RunID{Key: digest.Key(b), Generation: max(q.generation, 0)}
	rec, _, err := p.lookup(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && stage != "" && rec.Stage != stage {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return q.means(recorded{id: id, stage: rec.Stage}, rec), nil
}

// runID names the record of a lock's block.
func runID(s *lockfile.Stage) object.RunID { return object.RunID{Key: s.Key, Generation: s.Generation} }

// unrecorded says that a build has no record that can be had.
func (p *Project) unrecorded(stage string, id object.RunID) error {
	if s := p.spec.Stage(stage); s != nil && s.AlwaysChanged {
		return diag.New(diag.NotFound, "%s has no record: it says always_changed", stage).Hinted("run pipe log %s on the machine where it ran", stage)
	}
	where := "the cache"
	if p.remote != nil {
		where = "the cache or the remote"
	}
	return diag.New(diag.NotFound, "no record of %s (key %s) in %s", stage, id.Short(), where).
		Hinted("run this command on the machine that built it; pipe push %s there publishes the record", stage)
}
