// Package lockfile is the form of pipe.lock, the committed ledger of what each build stage made from what.
//
// FORMAT.md beside this file describes it byte by byte.
package lockfile

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
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
	Stages []Stage // build stages, sorted by name
}

// Stage is what one build stage made, and from what.
type Stage struct {
	Name       string
	Key        digest.Key
	Generation int               // how often a rebuild was forced; part of the key
	Cmd        digest.Digest     // of scripts, shell and working directory, to tell what changed
	Deps       []artifact.Input  // sorted by path
	Params     []Param           // sorted by file, then key
	Env        []Env             // sorted by name
	Outs       []artifact.Output // sorted by path
}

// Param is one value of a parameter file.
type Param struct {
	File  repopath.Path
	Key   string
	Value string // canonical JSON
}

// Env is a declared environment variable. A value from outside pipe.yaml may be a
// secret, so only its keyed hash is kept.
type Env struct {
	Name  string
	Value string // when Hash is empty
	Hash  string
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

// Clone returns a copy whose list of stages may be changed; the stages' own lists are shared.
func (f *File) Clone() *File { return &File{Stages: slices.Clone(f.Stages)} }

const banner = "# pipe.lock: what each stage made, from what. Written by pipe; commit it; do not edit it.\n"

// Encode returns the canonical bytes.
func (f *File) Encode() []byte {
	b := make([]byte, 0, 256+600*len(f.Stages))
	b = append(b, banner...)
	b = append(b, "schema: "...)
	b = strconv.AppendInt(b, Schema, 10)
	if len(f.Stages) == 0 {
		return append(b, "\nstages: {}\n"...)
	}
	b = append(b, "\nstages:\n"...)
	for i := range f.Stages {
		b = f.Stages[i].append(b)
	}
	return b
}

func (s *Stage) append(b []byte) []byte {
	// Lines that never change stand between the blocks, so that git merges a
	// change in each of two neighbours.
	b = append(append(append(b, "  # begin "...), s.Name...), '\n')
	b = append(append(append(b, "  "...), plain(s.Name)...), ":\n"...)
	b = append(append(append(b, "    key: "...), plain(s.Key.String())...), '\n')
	if s.Generation > 0 {
		b = append(strconv.AppendInt(append(b, "    generation: "...), int64(s.Generation), 10), '\n')
	}
	b = append(append(append(b, "    cmd: "...), s.Cmd.String()...), '\n')
	b = list(b, "deps", s.Deps, func(b []byte, d *artifact.Input) []byte {
		b = text(b, "path", string(d.Path))
		b = text(b, "kind", string(d.Kind))
		b = common(b, d.Exec, d.Digest, d.Size, d.Files)
		if !d.In.IsZero() {
			b = append(append(b, ", in: "...), d.In.String()...)
		}
		return b
	})
	b = list(b, "params", s.Params, func(b []byte, p *Param) []byte {
		b = text(b, "file", string(p.File))
		b = text(b, "key", p.Key)
		return append(append(b, ", value: "...), yamldoc.Quote(p.Value)...)
	})
	b = list(b, "env", s.Env, func(b []byte, e *Env) []byte {
		b = text(b, "name", e.Name)
		if e.Hash != "" {
			return append(append(b, ", hash: "...), yamldoc.Quote(e.Hash)...)
		}
		return append(append(b, ", value: "...), yamldoc.Quote(e.Value)...)
	})
	b = list(b, "outs", s.Outs, func(b []byte, o *artifact.Output) []byte {
		b = text(b, "path", string(o.Path))
		if o.Dir {
			b = append(b, ", kind: dir"...)
		}
		return common(b, o.Exec, o.Digest, o.Size, o.Files)
	})
	return append(append(append(b, "  # end "...), s.Name...), '\n')
}

func list[T any](b []byte, name string, items []T, one func([]byte, *T) []byte) []byte {
	if len(items) == 0 {
		return b
	}
	b = append(append(append(b, "    "...), name...), ":\n"...)
	for i := range items {
		b = append(b, "      - {"...)
		b = one(b, &items[i])
		b = append(b, "}\n"...)
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

// Parse reads a lock. The canonical bytes take a short way; anything else that
// YAML allows, but anchors, is read too. Faults come as a diag.List of kind
// Usage with file:line:col in file.
func Parse(file string, data []byte) (*File, error) {
	if f, ok := scan(string(data)); ok {
		return f, nil
	}
	if i := conflict(data); i > 0 {
		return nil, diag.List{diag.New(diag.Usage, "the lock has git's conflict markers").
			At(file+":"+strconv.Itoa(i)+":1").
			Hinted("take either side, then run pipe repro: git checkout --theirs %s && pipe repro", file)}
	}
	root, err := yamldoc.Parse(file, data, yamldoc.Options{NoAnchors: true})
	if err != nil {
		return nil, err
	}
	return decode(file, root)
}

// conflict returns the line of the first conflict marker, 0 when there is none.
func conflict(data []byte) int {
	line := 1
	for l := range bytes.Lines(data) {
		if bytes.HasPrefix(l, []byte("<<<<<<< ")) || bytes.HasPrefix(l, []byte(">>>>>>> ")) {
			return line
		}
		line++
	}
	return 0
}
