package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/canon"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/repopath"
)

const header = "pipe-tree 1\n"

// Encode returns the manifest's bytes. The entries must be sorted.
func (t *Tree) Encode() []byte {
	b := make([]byte, 0, len(header)+len(t.Entries)*120)
	b = append(b, header...)
	for i := range t.Entries {
		b = t.Entries[i].append(b)
	}
	return b
}

func (e *Entry) append(b []byte) []byte {
	b = append(b, byte(e.Kind), '\t')
	if e.Kind == Dir {
		b = append(b, '-')
	} else {
		const digits = "0123456789abcdef"
		for _, c := range e.Digest {
			b = append(b, digits[c>>4], digits[c&15])
		}
	}
	b = append(b, '\t')
	b = strconv.AppendInt(b, e.Size, 10)
	b = append(b, '\t')
	b = appendText(b, string(e.Path))
	if e.Kind == Symlink {
		b = appendText(append(b, '\t'), e.Target)
	}
	return append(b, '\n')
}

// plain reports whether a path or target stands in a manifest as it is: it can
// be taken neither for another field nor for a quoted text.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7f || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

// appendText writes a path or target, as a JSON text where it is not plain.
func appendText(b []byte, s string) []byte {
	if plain(s) {
		return append(b, s...)
	}
	return canon.AppendString(b, s)
}

// parseText takes only what appendText writes.
func parseText(field string) (s string, err error) {
	if plain(field) {
		return field, nil
	}
	if json.Unmarshal([]byte(field), &s) != nil || string(appendText(nil, s)) != field {
		return "", errText
	}
	return s, nil
}

// ParseTree reads a manifest and checks it as Check does. Only the canonical
// bytes are taken. It fails with ErrMalformed.
func ParseTree(b []byte) (*Tree, error) {
	t, err := parse(b)
	if err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

// ParseInput reads a list of inputs: sorted, with Nested entries, without empty
// directories. Nothing is written to a disk by it, so that neither symlinks nor
// what lies below another entry are looked at. It fails with ErrMalformed.
func ParseInput(b []byte) (*Tree, error) {
	t, err := parse(b)
	if err != nil {
		return nil, err
	}
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Kind == Dir || e.Kind == Nested && e.Size != 0 {
			return nil, fmt.Errorf("%w: %q is not allowed in a list of inputs", ErrMalformed, e.Path)
		}
	}
	return t, t.checkOrder()
}

// newerTree returns the version of a tree of a later form, 0 for anything else.
func newerTree(b []byte) int {
	first, _, _ := bytes.Cut(b[:min(len(b), 40)], []byte("\n"))
	version, ok := strings.CutPrefix(string(first), "pipe-tree ")
	if n, err := strconv.Atoi(version); ok && err == nil && n > 1 && strconv.Itoa(n) == version {
		return n
	}
	return 0
}

func parse(b []byte) (*Tree, error) {
	if len(b) > MaxTree {
		return nil, fmt.Errorf("%w: the tree has %d bytes, more than %d", ErrMalformed, len(b), MaxTree)
	}
	rest, ok := bytes.CutPrefix(b, []byte(header))
	if n := newerTree(b); n > 0 {
		return nil, diag.Newer("the tree", n)
	}
	if !ok {
		return nil, fmt.Errorf("%w: the tree does not start with %q", ErrMalformed, header)
	}
	if len(rest) > 0 && rest[len(rest)-1] != '\n' {
		return nil, fmt.Errorf("%w: the tree ends in the middle of a line", ErrMalformed)
	}
	text := string(rest)
	t := &Tree{Entries: make([]Entry, 0, strings.Count(text, "\n"))}
	var total int64 // what lock and record say of the directory
	for n := 2; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		e, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("%w: tree line %d: %w", ErrMalformed, n, err)
		}
		if e.IsFile() {
			if total += e.Size; total > artifact.MaxNumber {
				return nil, fmt.Errorf("%w: the sizes of the files are more than %d together", ErrMalformed, int64(artifact.MaxNumber))
			}
		}
		t.Entries = append(t.Entries, e)
	}
	return t, nil
}

var (
	errFields = errors.New("wrong number of fields")
	errKind   = errors.New("unknown entry kind")
	errSize   = errors.New("the size is not canonical, or beyond the bound")
	errText   = errors.New("the path or target is not canonical")
)

func parseEntry(line string) (e Entry, err error) {
	f := strings.Split(line, "\t")
	want := 4
	if f[0] == string(rune(Symlink)) {
		want = 5
	}
	if len(f) != want {
		return e, errFields
	}
	switch f[0] {
	case "f", "x", "l", "d", "t":
		e.Kind = Kind(f[0][0])
	default:
		return e, fmt.Errorf("%w %q", errKind, f[0])
	}
	if e.Kind == Dir {
		if f[1] != "-" || f[2] != "0" {
			return e, errFields
		}
	} else if e.Digest, err = digest.ParseHex(f[1]); err != nil {
		return e, err
	}
	if e.Size, err = strconv.ParseInt(f[2], 10, 64); err != nil || e.Size < 0 || e.Size > artifact.MaxNumber || strconv.FormatInt(e.Size, 10) != f[2] {
		return e, errSize
	}
	at, err := parseText(f[3])
	if err != nil {
		return e, err
	}
	if e.Path, err = repopath.ParseEntry(at); err != nil {
		return e, err
	}
	if e.Kind == Symlink {
		if e.Target, err = parseText(f[4]); err != nil {
			return e, err
		}
		if e.Digest != digest.Of([]byte(e.Target)) || e.Size != int64(len(e.Target)) {
			return e, errors.New("the digest or size does not match the symlink's target")
		}
	}
	return e, nil
}
