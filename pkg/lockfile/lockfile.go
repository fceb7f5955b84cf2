// Package lockfile is the form of pipe.lock, the committed ledger of what each build stage made from what.
//
// FORMAT.md beside this file describes it byte by byte.
package lockfile

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// FileName is the lock's name at the repository's root.
const FileName = "pipe.lock"

// Schema is the number of the form that this version reads and writes.
const Schema = 1

// File is a whole pipe.lock. Its zero value is the lock of a project that never ran.
type File struct {
	Stages  []Stage  // build stages, sorted by name
	Sources []Source // other repositories, sorted by the names of their blocks
	Absent  []Absent // what Parse passed over, in the order of lines; Encode does not write it
}

// Absent is a part of a lock that does not count, as if it were not there.
type Absent struct {
	Stage string // whose block it is; empty: lines between the blocks
	Line  int    // where it begins, from 1
	Why   string // for people: "its sum is missing"
}

// String returns what a person is told: what was ignored, and why.
func (a Absent) String() string {
	if a.Stage == "" {
		return a.Why
	}
	if name, ok := strings.CutPrefix(a.Stage, SourcePrefix); ok {
		return "ignored source " + name + ": " + a.Why
	}
	return "ignored stage " + a.Stage + ": " + a.Why
}

// Stage is what one build stage made, and from what.
type Stage struct {
	Name       string           // as in pipe.yaml
	Key        digest.Key       // of all that it was made from
	Generation int              // how often a rebuild of Key was forced: which of its records counts
	Cmd        digest.Digest    // of scripts, shell and working directory, to tell what changed
	Deps       []artifact.Input // sorted by path
	artifact.Asked
	Params []Param           // sorted by file, then key
	Env    []Env             // sorted by name
	Outs   []artifact.Output // sorted by path

	// raw is the block as it was read, when it has fields beginning with x-. It is
	// written again while the stage says the same; a rebuilt stage loses them.
	raw string
}

// Param is one value of a parameter file.
type Param struct {
	File  repopath.Path // relative to the project
	Key   string        // empty: all of the file
	Value string        // its canonical text, when Hash is zero
	Hash  digest.Digest // of the canonical text, where that is long or must not be committed
}

// Env is a declared environment variable. A value from outside pipe.yaml may be a
// secret, so only a hash of it is kept.
type Env struct {
	Name  string // of the variable
	Value string // when Hash is empty
	Hash  string // set, unset, or the beginning of a hash
}

// Stage returns the stage with the name, nil when there is none.
func (f *File) Stage(name string) *Stage {
	i, ok := slices.BinarySearchFunc(f.Stages, name, func(s Stage, n string) int { return strings.Compare(s.Name, n) })
	if !ok {
		return nil
	}
	return &f.Stages[i]
}

// Set puts s in place of the stage of its name, or adds it.
func (f *File) Set(s Stage) {
	i, ok := slices.BinarySearchFunc(f.Stages, s.Name, func(s Stage, n string) int { return strings.Compare(s.Name, n) })
	if ok {
		f.Stages[i] = s
		return
	}
	f.Stages = slices.Insert(f.Stages, i, s)
}

// Keep drops the stages for which keep is false, and reports whether there were any.
func (f *File) Keep(keep func(name string) bool) bool {
	before := len(f.Stages)
	f.Stages = slices.DeleteFunc(f.Stages, func(s Stage) bool { return !keep(s.Name) })
	return len(f.Stages) != before
}

const banner = "# pipe.lock: what each stage made, from what. Written by pipe; commit it; do not edit it.\n"

// Encode returns the canonical bytes.
func (f *File) Encode() []byte {
	b := make([]byte, 0, 256+600*len(f.Stages))
	b = append(b, banner...)
	b = append(b, "schema: "...)
	b = strconv.AppendInt(b, Schema, 10)
	if len(f.Stages)+len(f.Sources) == 0 {
		return append(b, "\nstages: {}\n"...)
	}
	b = append(b, "\nstages:\n"...)
	sources := f.Sources
	for i := range f.Stages {
		for ; len(sources) > 0 && sources[0].Name() < f.Stages[i].Name; sources = sources[1:] {
			b = sources[0].append(b)
		}
		b = f.Stages[i].append(b)
	}
	for i := range sources {
		b = sources[i].append(b)
	}
	return b
}

func (s *Stage) append(b []byte) []byte {
	return framed(b, s.Name, func(b []byte) []byte {
		if s.unchanged() {
			return append(b, s.raw...)
		}
		return s.fields(b)
	})
}

// framed adds a block. Lines that never change stand between the blocks, so that git merges a
// change in each of two neighbours.
func framed(b []byte, name string, body func([]byte) []byte) []byte {
	b = append(append(append(b, beginField...), name...), '\n')
	from := len(b)
	b = body(b)
	sum := sumOf(b[from:])
	b = append(append(append(b, sumField...), sum[:]...), '\n')
	return append(append(append(b, endField...), name...), '\n')
}

// sumField and the digits of sumOf are a block's last line.
const sumField = "    sum: "

// sumOf returns what the last line of a block says of the lines before it, so
// that no merge and no edit makes a block that pipe did not write. 64 bits tell
// accidents; they hold off nobody who can commit.
func sumOf(block []byte) (sum [16]byte) {
	d := digest.Of(block)
	hex.Encode(sum[:], d[:8])
	return sum
}

// unchanged reports whether raw still says what the fields do.
func (s *Stage) unchanged() bool {
	if s.raw == "" {
		return false
	}
	r, ok := scan(s.Name, s.raw)
	return ok && r.Key == s.Key && r.Generation == s.Generation && r.Cmd == s.Cmd && slices.Equal(r.Deps, s.Deps) &&
		slices.Equal(r.Tools, s.Tools) && slices.Equal(r.Images, s.Images) && slices.Equal(r.URLs, s.URLs) && slices.Equal(r.Params, s.Params) && slices.Equal(r.Env, s.Env) && slices.Equal(r.Outs, s.Outs)
}

func (s *Stage) fields(b []byte) []byte {
	b = append(append(append(b, "  "...), plain(s.Name)...), ":\n"...)
	b = append(append(append(b, "    key: "...), s.Key.String()...), '\n')
	if s.Generation > 0 {
		b = append(strconv.AppendInt(append(b, "    generation: "...), int64(s.Generation), 10), '\n')
	}
	b = append(append(append(b, "    cmd: "...), s.Cmd.String()...), '\n')
	b = list(b, "deps", s.Name, s.Deps, depOrder, func(b []byte, d *artifact.Input) []byte {
		b = text(b, "path", string(d.Path))
		b = text(b, "kind", string(d.Kind))
		b = common(b, d.Exec, d.Digest, d.Size, d.Files)
		if !d.In.IsZero() {
			b = append(append(b, ", in: "...), d.In.String()...)
		}
		return b
	})
	b = list(b, "tools", s.Name, s.Tools, toolOrder, func(b []byte, t *artifact.Tool) []byte {
		b = common(text(b, "cmd", t.Cmd), false, t.Digest, t.Size, 0)
		if t.Line != "" {
			b = append(append(b, ", line: "...), yamldoc.Quote(t.Line)...)
		}
		return b
	})
	named := func(b []byte, n *artifact.Named) []byte {
		return append(append(text(b, "name", n.Name), ", answer: "...), yamldoc.Quote(n.Answer)...)
	}
	b = list(b, "images", s.Name, s.Images, namedOrder, named)
	b = list(b, "urls", s.Name, s.URLs, namedOrder, named)
	b = list(b, "params", s.Name, s.Params, paramOrder, func(b []byte, p *Param) []byte {
		b = text(b, "file", string(p.File))
		b = text(b, "key", p.Key)
		if !p.Hash.IsZero() {
			return append(append(b, ", hash: "...), p.Hash.String()...)
		}
		return append(append(b, ", value: "...), yamldoc.Quote(p.Value)...)
	})
	b = list(b, "env", s.Name, s.Env, envOrder, func(b []byte, e *Env) []byte {
		b = text(b, "name", e.Name)
		if e.Hash != "" {
			return append(append(b, ", hash: "...), yamldoc.Quote(e.Hash)...)
		}
		return append(append(b, ", value: "...), yamldoc.Quote(e.Value)...)
	})
	return list(b, "outs", s.Name, s.Outs, outOrder, func(b []byte, o *artifact.Output) []byte {
		b = text(b, "path", string(o.Path))
		if o.Dir {
			b = append(b, ", kind: dir"...)
		}
		b = common(b, o.Exec, o.Digest, o.Size, o.Files)
		if o.SHA256 != "" {
			b = append(append(b, ", sha256: "...), o.SHA256...)
		}
		return b
	})
}

// The orders of the lists; a reader takes no item twice.
func depOrder(a, b artifact.Input) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind))
}

func toolOrder(a, b artifact.Tool) int { return cmp.Compare(a.Cmd, b.Cmd) }

func namedOrder(a, b artifact.Named) int { return cmp.Compare(a.Name, b.Name) }

func paramOrder(a, b Param) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Key, b.Key))
}

func envOrder(a, b Env) int { return cmp.Compare(a.Name, b.Name) }

func outOrder(a, b artifact.Output) int { return cmp.Compare(a.Path, b.Path) }

// list writes each line with the stage's name behind it: so no two stages have one
// in common by which git could take one stage for the other.
func list[T any](b []byte, name, stage string, items []T, order func(a, b T) int, one func([]byte, *T) []byte) []byte {
	if len(items) == 0 {
		return b
	}
	if !slices.IsSortedFunc(items, order) {
		items = slices.Clone(items)
		slices.SortStableFunc(items, order)
	}
	b = append(append(append(b, "    "...), name...), ": # "...)
	b = append(append(b, stage...), '\n')
	for i := range items {
		b = append(b, "      - {"...)
		b = one(b, &items[i])
		b = append(append(append(b, "} # "...), stage...), '\n')
	}
	return b
}

// text adds a key and its value, unless it is empty.
func text(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ", "...)
	}
	b = append(append(b, key...), ": "...)
	return append(b, plain(value)...)
}

func common(b []byte, exec bool, hash digest.Digest, size, files int64) []byte {
	if exec {
		b = append(b, ", exec: true"...)
	}
	b = append(append(b, ", hash: "...), hash.String()...)
	b = strconv.AppendInt(append(b, ", size: "...), size, 10)
	if files > 0 {
		b = strconv.AppendInt(append(b, ", files: "...), files, 10)
	}
	return b
}

// plain returns s as a YAML scalar: bare when no reader could take it for
// anything but that text, else in double quotes.
func plain(s string) string {
	if isPlain(s) {
		return s
	}
	return yamldoc.Quote(s)
}

func isPlain(s string) bool {
	if s == "" || !letter(s[0]) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !letter(c) && (c < '0' || c > '9') && c != '/' && c != '.' && c != '-' {
			return false
		}
	}
	if len(s) > 5 {
		return true
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return true
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
