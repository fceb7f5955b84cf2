package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// EntrySchema is the number of the form of an Entry that this version reads and writes.
const EntrySchema = 1

// The kinds of deployments.
const (
	KindDeploy   = "deploy"
	KindPromote  = "promote"
	KindRollback = "rollback"
	KindDestroy  = "destroy" // takes stages down
)

// How a deployment ended.
const (
	EndOK      = "ok"
	EndFailed  = "failed"
	EndStopped = "stopped" // by a signal
	EndUnknown = "unknown" // its run died, or lost its lease
	EndRunning = "running" // it has not ended; no entry of the history says so
)

// Entry is one deployment in the history of an environment. Entries are immutable, numbered
// without gaps, and each names the one before by its bytes.
type Entry struct {
	Schema   int                `json:"schema"`
	Project  string             `json:"project,omitempty"`
	Env      string             `json:"env"`
	N        uint64             `json:"n"`
	Prev     digest.Digest      `json:"prev,omitzero"` // of the bytes of entry N-1; absent in the first
	Kind     string             `json:"kind"`
	Status   string             `json:"status"`
	Release  ID                 `json:"release,omitzero"`
	From     string             `json:"from,omitempty"` // the environment that it was promoted from
	Commit   string             `json:"commit,omitempty"`
	Dirty    bool               `json:"dirty,omitempty"`    // inputs were not as in the commit
	Override bool               `json:"override,omitempty"` // --source or --set: the release is that of no commit
	By       string             `json:"by,omitempty"`
	Run      string             `json:"run,omitempty"`
	Version  string             `json:"version,omitempty"` // of pipe
	At       time.Time          `json:"at"`                // RFC 3339 in UTC, whole seconds
	Ended    time.Time          `json:"ended"`
	Reason   string             `json:"reason,omitempty"`  // as --reason says
	Options  []string           `json:"options,omitempty"` // what narrowed or overrode it, as on the command line
	Error    string             `json:"error,omitempty"`
	Stages   map[string]Attempt `json:"stages"`

	raw json.RawMessage // as it was read: a later version may have written more, and the next entry names these bytes
}

// entryMembers are the members of Entry, without its methods.
type entryMembers Entry

// MarshalJSON implements json.Marshaler: what was read is written as it was.
func (x *Entry) MarshalJSON() ([]byte, error) {
	if x.raw != nil {
		return x.raw, nil
	}
	return json.Marshal((*entryMembers)(x))
}

// Attempt is what one deployment did about one stage.
type Attempt struct {
	Do       string            `json:"do"`     // run, skip (it was live) or not (it did not come to that)
	Status   string            `json:"status"` // of the stage at the end; empty: never deployed
	Was      digest.Key        `json:"was,omitzero"`
	Key      digest.Key        `json:"key,omitzero"`
	Commit   string            `json:"commit,omitempty"`
	Values   map[string]string `json:"values,omitempty"`  // of its variables, those that pipe.yaml or --set gave
	Outside  map[string]string `json:"outside,omitempty"` // hashes of those that came from outside
	Seconds  float64           `json:"seconds,omitempty"`
	Attempts int               `json:"attempts,omitempty"` // of the commands; absent: one
	Exit     int               `json:"exit,omitempty"`
	Error    string            `json:"error,omitempty"`
	Log      digest.Digest     `json:"log,omitzero"` // what the commands printed, masked
}

// entryAt is where an entry of the history lies.
func (e *Environment) entryAt(n uint64) string {
	return root(e.opt.Project) + "/" + e.opt.Name + "/log/" + strconv.FormatUint(n, 10)
}

// Encode returns the entry's bytes.
func (x *Entry) Encode() ([]byte, error) { return canon.Marshal(x) }

// digest names an entry for the one that comes after.
func (x *Entry) digest() (digest.Digest, error) {
	b, err := x.Encode()
	return digest.Of(b), err
}

// equal reports whether two entries have the same bytes.
func (x *Entry) equal(y *Entry) bool {
	a, aerr := x.digest()
	b, berr := y.digest()
	return aerr == nil && berr == nil && a == b
}

// parseEntry reads an entry that lies at n.
func (e *Environment) parseEntry(b []byte, n uint64) (*Entry, error) {
	what := fmt.Sprintf("deployment #%d of %s", n, e.opt.Name)
	if s := canon.Schema(b); s > EntrySchema {
		return nil, diag.Newer(what, s).At(e.entryAt(n))
	}
	x := &Entry{}
	err := canon.Unmarshal(b, x)
	if err == nil && (x.Schema != EntrySchema || x.N != n || x.Env != e.opt.Name || x.Project != e.opt.Project) {
		err = errors.New("it is the entry of another deployment")
	}
	if err != nil {
		return nil, diag.New(diag.Integrity, "cannot read %s: %w", what, err).At(e.entryAt(n)).Hinted("pipe env history %s --verify", e.opt.Name)
	}
	x.raw = b
	return x, nil
}

// Entry reads deployment n of the history; s is the environment's state, which has the newest
// one. An error of kind not-found says that there is no such deployment.
func (e *Environment) Entry(ctx context.Context, s *State, n uint64) (*Entry, error) {
	if s.Last != nil && s.Last.N == n {
		return s.Last, nil
	}
	none := diag.New(diag.NotFound, "%s has no deployment #%d", e.opt.Name, n).Hinted("pipe env history %s", e.opt.Name)
	if n == 0 || n > s.N {
		return nil, none
	}
	x, err := e.logged(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		if s.Lease != nil && s.Lease.N == n {
			return nil, diag.New(diag.NotFound, "deployment #%d of %s has not ended", n, e.opt.Name).Hinted("pipe env show %s", e.opt.Name)
		}
		return nil, none.At(e.entryAt(n))
	}
	return x, err
}

// logged reads entry n from the history.
func (e *Environment) logged(ctx context.Context, n uint64) (*Entry, error) {
	b, _, err := e.cells.Load(ctx, e.entryAt(n))
	if err != nil {
		return nil, err
	}
	return e.parseEntry(b, n)
}

// follow takes the newest entry of the history over into the state, from the one that it has.
// Entries have no gaps, so few requests find it.
func (e *Environment) follow(ctx context.Context, s *State) error {
	if s.Last != nil {
		s.Logged = s.Last.N
	}
	for step := uint64(1); step > 0; {
		x, err := e.logged(ctx, s.Logged+step)
		switch {
		case err == nil:
			s.Last, s.Logged = x, x.N
			step *= 2
		case errors.Is(err, store.ErrNotFound):
			step /= 2
		default:
			return err
		}
	}
	s.N = max(s.N, s.Logged)
	return nil
}

// log writes an entry. Whoever comes first wins; the entry that is there in the end is returned.
func (e *Environment) log(ctx context.Context, x *Entry) (*Entry, error) {
	b, err := x.Encode()
	if err != nil {
		return nil, err
	}
	winner, err := keep(ctx, e.cells, e.entryAt(x.N), b)
	if err != nil {
		return nil, err
	}
	return e.parseEntry(winner, x.N)
}

// Chain walks the history from the newest entry to the first and reports the first fault: an
// entry that is missing or not the one that its successor names. It calls f for each entry.
func (e *Environment) Chain(ctx context.Context, s *State, f func(*Entry) error) error {
	if s.Last == nil {
		return nil
	}
	changed := func(n uint64, by string) error {
		return diag.New(diag.Integrity, "deployment #%d of %s is not the one that %s names: it was changed", n, e.opt.Name, by).At(e.entryAt(n))
	}
	if s.Logged >= s.Last.N {
		newest, err := e.logged(ctx, s.Last.N)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return e.lacks(s.Last.N)
		case err != nil:
			return err
		case !newest.equal(s.Last):
			return changed(s.Last.N, "the state")
		}
	}
	for x := s.Last; ; {
		if err := f(x); err != nil {
			return err
		}
		if x.N <= 1 {
			return nil
		}
		before, err := e.Entry(ctx, s, x.N-1)
		if diag.Is(err, diag.NotFound) {
			return e.lacks(x.N - 1)
		}
		if err != nil {
			return err
		}
		d, err := before.digest()
		if err != nil {
			return err
		}
		if d != x.Prev {
			return changed(before.N, fmt.Sprintf("#%d", x.N))
		}
		x = before
	}
}

// lacks says that a deployment is missing in the history.
func (e *Environment) lacks(n uint64) error {
	return diag.New(diag.Integrity, "the history of %s lacks deployment #%d", e.opt.Name, n).At(e.entryAt(n))
}

// keep puts a value that never changes. It returns the one that is there in the end: value, or
// what somebody has put earlier.
func keep(ctx context.Context, cells store.Cells, name string, value []byte) ([]byte, error) {
	_, err := cells.Swap(ctx, name, "", value)
	if err == nil {
		return value, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// A conflict, or an answer that was lost: what is there says which.
	there, _, rerr := cells.Load(ctx, name)
	switch {
	case rerr == nil:
		return there, nil
	case errors.Is(rerr, store.ErrNotFound):
		return nil, err
	}
	return nil, errors.Join(err, rerr)
}

// checkNumber refuses a number that the next one could not be counted from.
func checkNumber(n uint64) error {
	if n > artifact.MaxNumber {
		return fmt.Errorf("a number is above %d", int64(artifact.MaxNumber))
	}
	return nil
}
