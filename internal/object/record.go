package object

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// RecordSchema is the number of the record's form that this version writes.
const RecordSchema = 1

// MaxRecord is the largest record in bytes that is read.
const MaxRecord = 16 << 20

// Stamp is who builds, where and with what: it goes into each record of a run.
type Stamp struct {
	Project string `json:"project,omitempty"`
	By      string `json:"by,omitempty"`
	Builder string `json:"builder,omitempty"` // URI of the CI's run
	Commit  string `json:"commit,omitempty"`  // HEAD's hash
	Version string `json:"version,omitempty"` // of pipe
}

// Record says what a key produced. It is immutable, and the first one of a RunID
// wins. One that was made from a lock, because nobody published the run's own,
// has no At, Seconds, Attempts, By, Builder, Commit and Log: nobody knows them any more.
type Record struct {
	ID    RunID
	Stage string            // its name then; not part of the key
	Outs  []artifact.Output // sorted by path
	Stamp
	FromLock bool
	Platform string          // the stage's platform, when it has one
	At       time.Time       // in whole seconds, UTC
	Seconds  float64         // how long the command took, in milliseconds' precision
	Attempts int             // of the command, the last of which succeeded; 0 or 1 when that was the first
	Log      digest.Digest   // what the command printed
	Inputs   []digest.Digest // the lists of what it read; Encode sorts them, each once
}

// recordJSON is a record as it is written.
type recordJSON struct {
	Schema     int          `json:"schema"`
	Key        digest.Key   `json:"key"`
	Generation int          `json:"generation,omitempty"`
	Stage      string       `json:"stage"`
	Outs       []outputJSON `json:"outs"`
	Stamp
	From     string          `json:"from,omitempty"`
	Platform string          `json:"platform,omitempty"`
	At       time.Time       `json:"at,omitzero"`
	Seconds  float64         `json:"seconds,omitempty"`
	Attempts int             `json:"attempts,omitempty"`
	Log      digest.Digest   `json:"log,omitzero"`
	Inputs   []digest.Digest `json:"inputs,omitempty"`
}

// outputJSON is artifact.Output with the record's names.
type outputJSON struct {
	Path   repopath.Path `json:"path"`
	Dir    bool          `json:"dir,omitempty"`
	Exec   bool          `json:"exec,omitempty"`
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Files  int64         `json:"files,omitempty"`
	SHA256 string        `json:"sha256,omitempty"`
}

// fromLock is the only value of a record's member "from".
const fromLock = "lock"

// Encode returns the canonical bytes.
func (r *Record) Encode() ([]byte, error) {
	j := recordJSON{
		Schema: RecordSchema, Key: r.ID.Key, Generation: r.ID.Generation, Stage: r.Stage, Outs: []outputJSON{},
		Stamp: r.Stamp, Platform: r.Platform, Inputs: slices.Clone(r.Inputs),
	}
	slices.SortFunc(j.Inputs, order)
	j.Inputs = slices.Compact(j.Inputs) // two deps may have equal lists
	if r.FromLock {
		j.From, j.Stamp = fromLock, Stamp{Project: r.Project, Version: r.Version}
	} else {
		j.At, j.Seconds, j.Log = r.At.UTC().Truncate(time.Second), milliseconds(r.Seconds), r.Log
		if r.Attempts > 1 {
			j.Attempts = r.Attempts
		}
	}
	for _, o := range r.Outs {
		j.Outs = append(j.Outs, outputJSON(o))
	}
	b, err := canon.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", r.ID.Short(), err)
	}
	return b, nil
}

func milliseconds(seconds float64) float64 { return math.Round(seconds*1000) / 1000 }

// ParseRecord reads the record that lies under id. It takes only canonical bytes
// that say so themselves, with paths that stay in the repository; members that it
// does not know are passed over. It fails with ErrMalformed, or, where a newer
// pipe wrote it, with diag.Newer.
func ParseRecord(b []byte, id RunID) (*Record, error) {
	bad := func(err error) error { return fmt.Errorf("%w: record %s: %w", ErrMalformed, id.Short(), err) }
	if len(b) > MaxRecord {
		return nil, bad(fmt.Errorf("%d bytes, more than %d", len(b), MaxRecord))
	}
	if err := newer(b, id); err != nil {
		return nil, err
	}
	var j recordJSON
	if err := canon.Unmarshal(b, &j); err != nil {
		return nil, bad(err)
	}
	if got := (RunID{j.Key, j.Generation}); got != id {
		return nil, bad(fmt.Errorf("it claims to be %s", got.Short()))
	}
	if err := j.check(); err != nil {
		return nil, bad(err)
	}
	r := &Record{
		ID: id, Stage: j.Stage, Stamp: j.Stamp, FromLock: j.From == fromLock, Platform: j.Platform,
		At: j.At, Seconds: j.Seconds, Attempts: j.Attempts, Log: j.Log, Inputs: j.Inputs,
	}
	for _, o := range j.Outs {
		r.Outs = append(r.Outs, artifact.Output(o))
	}
	if err := checkOuts(r.Outs); err != nil {
		return nil, bad(err)
	}
	return r, nil
}

// newer says that only a later version can have written a record, whatever else
// stands in it.
func newer(b []byte, id RunID) error {
	if n := canon.Schema(b); n > RecordSchema {
		return diag.Newer("record "+id.Short(), n)
	}
	key := canon.Text(canon.Members(b)["key"])
	if _, err := digest.ParseKey(key); errors.Is(err, digest.ErrNewer) {
		form, _, _ := strings.Cut(key, ":")
		return diag.Unknown("record "+id.Short(), "key "+form)
	}
	return nil
}

func checkOuts(outs []artifact.Output) error {
	for i, o := range outs {
		if i > 0 && outs[i-1].Path >= o.Path {
			return errors.New("the outputs are not sorted")
		}
		if err := o.Check(); err != nil {
			return err
		}
	}
	return nil
}

// check holds what canonical JSON and the outputs alone do not say.
func (j *recordJSON) check() error {
	_, east := j.At.Zone()
	switch {
	case j.Generation < 0 || j.Generation > artifact.MaxGeneration:
		return fmt.Errorf("the generation %d is not between 0 and %d", j.Generation, artifact.MaxGeneration)
	case !artifact.IsStageName(j.Stage):
		return fmt.Errorf("%q is not a valid stage name", j.Stage)
	case j.From != "" && (j.From != fromLock || j.By != "" || !j.At.IsZero() || j.Seconds != 0 || j.Attempts != 0 || j.Commit != "" || !j.Log.IsZero()):
		return errors.New("a record made from pipe.lock cannot say who ran the command, when or where")
	case j.From == "" && j.At.IsZero():
		return errors.New("it does not say when the command ran")
	case east != 0 || j.At.Nanosecond() != 0:
		return errors.New("the time is not in UTC and whole seconds")
	case j.Seconds < 0 || j.Seconds != milliseconds(j.Seconds):
		return errors.New("the seconds are negative or not rounded to milliseconds")
	case j.Attempts < 0 || j.Attempts > artifact.MaxGeneration:
		return fmt.Errorf("the number of attempts %d is not between 0 and %d", j.Attempts, artifact.MaxGeneration)
	case !slices.IsSortedFunc(j.Inputs, order) || len(slices.Compact(slices.Clone(j.Inputs))) != len(j.Inputs):
		return errors.New("the inputs are unsorted or named twice")
	}
	return nil
}

func order(a, b digest.Digest) int { return bytes.Compare(a[:], b[:]) }
