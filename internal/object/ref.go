package object

import (
	"strconv"

	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// Shelf is the part of a store in which an object lies.
type Shelf uint8

// The shelves. A digest alone does not say on which one its object lies.
const (
	Files  Shelf = iota // bytes of files
	Trees               // manifests of outputs that are directories
	Inputs              // lists of what stages read
	Logs                // what stages printed, masked
)

// Shelves are all of them, each with its name in a store.
var Shelves = [...]string{Files: "files", Trees: "trees", Inputs: "inputs", Logs: "logs"}

// String returns the shelf's name in a store.
func (s Shelf) String() string { return Shelves[s] }

// Ref names an object in a store.
type Ref struct {
	Shelf  Shelf
	Digest digest.Digest
}

// Of returns the object that holds an output: a file's bytes, or a tree.
func Of(o artifact.Output) Ref {
	if o.Dir {
		return Ref{Trees, o.Digest}
	}
	return Ref{Files, o.Digest}
}

// OfInput names what an input's digest is of: a file's bytes, or a list.
func OfInput(in artifact.Input) Ref {
	if in.Kind.Plain() == artifact.OneFile {
		return Ref{Files, in.Digest}
	}
	return Ref{Inputs, in.Digest}
}

// String returns the digest, after its shelf's name unless it is a file.
func (r Ref) String() string {
	switch r.Shelf {
	case Trees:
		return "tree " + r.Digest.String()
	case Inputs:
		return "input list " + r.Digest.String()
	case Logs:
		return "log " + r.Digest.String()
	}
	return r.Digest.String()
}

// RunID names a record: a key, and how often a rebuild of it was forced.
type RunID struct {
	Key        digest.Key
	Generation int
}

// String returns the key, and behind a dot the generation when there is one.
func (id RunID) String() string { return id.suffixed(id.Key.String()) }

// Name returns the last element of the record's path in a store.
func (id RunID) Name() string { return id.suffixed(id.Key.Hex()) }

// Short returns the beginning of the name, for people.
func (id RunID) Short() string { return id.suffixed(id.Key.Short()) }

func (id RunID) suffixed(s string) string {
	if id.Generation > 0 {
		s += "." + strconv.Itoa(id.Generation)
	}
	return s
}
