// Package artifact is what stages read and make: inputs and outputs, by their hashes.
//
// pipe.lock, records in a store, environments and events all speak of the same things, so
// there is one value for an input and one for an output, with one JSON form. Neither holds
// bytes: they lie in a cache or remote under the digest. A file goes by the digest of its
// bytes; a directory by that of its tree, a canonical list of its files (package object),
// which makes a directory as comparable as a file.
package artifact

import (
	"strings"

	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Output is what a stage made at one path: a file, or a directory by its tree.
type Output struct {
	Path   repopath.Path `json:"path"`             // relative to the project
	Dir    bool          `json:"dir,omitempty"`    // a directory
	Exec   bool          `json:"exec,omitempty"`   // a file's executable bit
	Digest digest.Digest `json:"hash"`             // of the bytes, or of the tree
	Size   int64         `json:"size"`             // bytes; of a directory, of all its files
	Files  int64         `json:"files,omitempty"`  // of a directory: its entries that are not empty directories
	SHA256 string        `json:"sha256,omitempty"` // of a file that asks for it: 64 lower-case hexadecimal digits
}

// Same reports whether two outputs have the same content and mode. The digest decides: the
// size follows from it, and the SHA-256 is there only where somebody asked for it.
func (o Output) Same(p Output) bool {
	return o.Dir == p.Dir && o.Exec == p.Exec && o.Digest == p.Digest
}

// Kind is the sort of an input.
type Kind string

// The kinds of inputs.
const (
	OneFile Kind = ""     // one file
	Dir     Kind = "dir"  // a directory
	Glob    Kind = "glob" // all files that a pattern names
)

// Input is the state of one declared input.
type Input struct {
	Path   repopath.Path `json:"path"`            // or the pattern, for Glob
	Kind   Kind          `json:"kind,omitempty"`  // what Path names
	Exec   bool          `json:"exec,omitempty"`  // a file's executable bit
	Digest digest.Digest `json:"hash"`            // of the bytes, or of the list of files
	Size   int64         `json:"size"`            // bytes; of all files
	Files  int64         `json:"files,omitempty"` // of a directory or glob: its entries
	// In is the tree that Path was looked up in when it lies inside a directory
	// that another stage makes: as long as that tree is the same, so is Digest.
	In digest.Digest `json:"in,omitzero"`
}

// IsStageName reports whether a stage's name may be read from a lock, a record or
// a state: a letter, digit or _, then up to 254 of these and . @ : / = , + -.
func IsStageName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		word := c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !word && (i == 0 || strings.IndexByte(".@:/=,+-", c) < 0) {
			return false
		}
	}
	return true
}
