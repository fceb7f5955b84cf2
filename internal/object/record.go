package object

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pipe-build/pipe/internal/repopath"
	"github.com/pipe-build/pipe/pkg/digest"
)

// RecordSchema is the number of the record's form that this version writes.
const RecordSchema = 1

// MaxRecord is the largest record in bytes that is read.
const MaxRecord = 16 << 20

// Output is what a stage made at one path: a file, or a directory by its tree.
type Output struct {
	Path   repopath.Path `json:"path"`
	Dir    bool          `json:"dir,omitempty"`
	Exec   bool          `json:"exec,omitempty"` // a file's executable bit
	Digest digest.Digest `json:"digest"`         // of the bytes, or of the tree
	Size   int64         `json:"size"`           // bytes; of all files for a directory
	Files  int64         `json:"files,omitempty"`
}

// Ref returns the object that holds the output.
func (o Output) Ref() Ref {
	if o.Dir {
		return Ref{Tree: true, Digest: o.Digest}
	}
	return Ref{Digest: o.Digest}
}

// Same reports whether two outputs have the same content and mode.
func (o Output) Same(p Output) bool {
	return o.Dir == p.Dir && o.Exec == p.Exec && o.Digest == p.Digest
}

// Ref names an object in a store: the bytes of a file, or a tree's manifest.
type Ref struct {
	Tree   bool
	Digest digest.Digest
}

// String returns the name, with "tree " before a tree's digest.
func (r Ref) String() string {
	if r.Tree {
		return "tree " + r.Digest.String()
	}
	return r.Digest.String()
}

// Record says what a key produced. It is immutable, and the first one of a key wins.
type Record struct {
	Schema  int           `json:"schema"`
	Key     digest.Key    `json:"key"`
	Stage   string        `json:"stage"` // its name then; not part of the key
	Outs    []Output      `json:"outs"`  // sorted by path
	By      string        `json:"by,omitempty"`
	At      time.Time     `json:"at"`
	Seconds float64       `json:"seconds"`          // how long the command took
	Commit  string        `json:"commit,omitempty"` // HEAD's hash when it ran
	Log     digest.Digest `json:"log,omitzero"`     // what the command printed
	Version string        `json:"version,omitempty"`

	// Extra holds fields of later versions, kept when the record is written again.
	Extra map[string]json.RawMessage `json:"-"`
}

// Of returns a record of what a key produced, which takes who, where and with
// which version from the stamp r.
func (r Record) Of(key digest.Key, stage string, outs []Output, at time.Time) Record {
	r.Schema, r.Key, r.Stage, r.Outs = RecordSchema, key, stage, outs
	r.At = at.UTC().Truncate(time.Second)
	return r
}

// Encode returns canonical JSON: keys sorted, no space, one newline at the end.
func (r *Record) Encode() ([]byte, error) {
	known, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", r.Key.Short(), err)
	}
	fields := map[string]json.RawMessage{}
	for k, v := range r.Extra {
		fields[k] = v
	}
	if err := json.Unmarshal(known, &fields); err != nil {
		return nil, fmt.Errorf("record %s: %w", r.Key.Short(), err)
	}
	b, err := canonicalJSON(fields)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", r.Key.Short(), err)
	}
	return append(b, '\n'), nil
}

// canonicalJSON encodes v with all maps' keys sorted and no HTML escapes.
func canonicalJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(plain); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// ParseRecord reads a record and checks that it is about key. A record with a
// newer schema, an unknown digest or a path that leaves the repository fails
// with ErrMalformed.
func ParseRecord(b []byte, key digest.Key) (*Record, error) {
	if len(b) > MaxRecord {
		return nil, fmt.Errorf("%w: record of %d bytes, more than %d", ErrMalformed, len(b), MaxRecord)
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: record %s: %w", ErrMalformed, key.Short(), err)
	}
	if r.Schema != RecordSchema {
		return nil, fmt.Errorf("%w: record %s has schema %d; this pipe reads %d", ErrMalformed, key.Short(), r.Schema, RecordSchema)
	}
	if r.Key != key {
		return nil, fmt.Errorf("%w: record %s says that it is of key %s", ErrMalformed, key.Short(), r.Key.Short())
	}
	for i, o := range r.Outs {
		if _, err := repopath.Parse(string(o.Path)); err != nil {
			return nil, fmt.Errorf("%w: record %s: %w", ErrMalformed, key.Short(), err)
		}
		if i > 0 && r.Outs[i-1].Path >= o.Path {
			return nil, fmt.Errorf("%w: record %s: outs are not sorted", ErrMalformed, key.Short())
		}
		if o.Digest.IsZero() || o.Size < 0 || o.Files < 0 {
			return nil, fmt.Errorf("%w: record %s: %s has no digest or a negative size", ErrMalformed, key.Short(), o.Path)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, fmt.Errorf("%w: record %s: %w", ErrMalformed, key.Short(), err)
	}
	for _, k := range []string{"schema", "key", "stage", "outs", "by", "at", "seconds", "commit", "log", "version"} {
		delete(fields, k)
	}
	if len(fields) > 0 {
		r.Extra = fields
	}
	return &r, nil
}
