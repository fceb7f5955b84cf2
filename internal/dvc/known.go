package dvc

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/pkg/digest"
)

// KnownName is where the map lies in pipe's own directory.
const KnownName = "dvc/known"

// knownHead is the first line of the map: its form's name and number.
const knownHead = "pipe-dvc 1\n"

// maxKnown is the largest map that is read: about two million names.
const maxKnown = 256 << 20

// Known says under which name pipe has what DVC names by an md5. It only grows.
type Known map[string]object.Entry // by DVC's name; kind Dir: a directory, by its tree

// Add notes a file under both of its names.
func (k Known) Add(h Hashed) {
	e := object.Entry{Kind: object.File, Digest: h.Digest, Size: h.Size}
	k[h.MD5], k[h.Legacy] = e, e
}

// AddDir notes a directory.
func (k Known) AddDir(s Sum, tree digest.Digest, size int64) {
	k[s.String()] = object.Entry{Kind: object.Dir, Digest: tree, Size: size}
}

// ReadKnown reads the map of a repository; one that is not there is empty. Damage is an error: it is
// made again by pipe import dvc from what DVC still has, and nothing is guessed.
func ReadKnown(file string) (Known, error) {
	k := Known{}
	data, err := atomicfile.Read(file, maxKnown)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(data, []byte(knownHead))
	if !ok {
		return nil, diag.New(diag.Integrity, "not a map of DVC's names, or one of a newer pipe").At(file).Hinted("install the newest pipe, or remove the file")
	}
	for line := range strings.Lines(string(rest)) {
		name, e, ok := knownLine(line)
		if !ok {
			return nil, diag.New(diag.Integrity, "damaged: %q", line).At(file).Hinted("remove the file; pipe find still reads the history of dvc.lock")
		}
		k[name] = e
	}
	return k, nil
}

// knownLine reads one line: DVC's name, pipe's, and the size in bytes.
func knownLine(line string) (name string, e object.Entry, ok bool) {
	f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(f) != 3 || !strings.HasSuffix(line, "\n") {
		return "", e, false
	}
	sum, ok := ParseSum(f[0], false)
	d, err := digest.ParseHex(f[1])
	size, serr := strconv.ParseInt(f[2], 10, 64)
	if !ok || err != nil || serr != nil || size < 0 {
		return "", e, false
	}
	e = object.Entry{Kind: object.File, Digest: d, Size: size}
	if sum.Dir {
		e.Kind = object.Dir
	}
	return sum.String(), e, true
}

// Encode returns the canonical bytes: one line for each name, sorted.
func (k Known) Encode() []byte {
	b := []byte(knownHead)
	for _, name := range slices.Sorted(maps.Keys(k)) {
		e := k[name]
		b = append(b, name+" "+e.Digest.Hex()+" "...)
		b = append(strconv.AppendInt(b, e.Size, 10), '\n')
	}
	return b
}
