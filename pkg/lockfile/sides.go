package lockfile

import (
	"bytes"
	"slices"
	"strings"
)

// Sides reads a lock that git has merged as the two locks that it may have been merged of. Each hunk
// between conflict markers is taken from the one side, then from the other, and of several whole
// blocks of one name the first is ours and the last theirs, as a union puts them. A lock without
// either has two equal sides. It fails as Parse does.
func Sides(file string, data []byte) (ours, theirs *File, err error) {
	one, other := hunks(unixLines(data))
	ours, err = parse(file, one, nil, func(same []block) (block, bool) { return same[0], true })
	if err != nil {
		return nil, nil, err
	}
	theirs, err = parse(file, other, nil, func(same []block) (block, bool) { return same[len(same)-1], true })
	return ours, theirs, err
}

// hunks takes each hunk of a file with conflict markers from our side, and from theirs. Lines between
// markers that belong to no whole hunk are on both sides.
func hunks(data []byte) (ours, theirs []byte) {
	if !bytes.Contains(data, []byte("<<<<<<<")) {
		return data, data
	}
	var h hunk
	for line := range bytes.Lines(data) {
		switch m := markerOf(line); {
		case m.char == '<' && h.open.n == 0:
			h = hunk{open: m, in: '<'}
		case h.open.n != 0 && m.n == h.open.n && m.char != 0 && strings.IndexByte(follows[h.in], m.char) >= 0:
			if h.in = m.char; m.char == '>' {
				ours, theirs = append(ours, h.ours...), append(theirs, h.theirs...)
				h = hunk{}
			}
		case h.in == '<':
			h.ours = append(h.ours, line...)
		case h.in == '=':
			h.theirs = append(h.theirs, line...)
		case h.in == 0:
			ours, theirs = append(ours, line...), append(theirs, line...)
		}
	}
	rest := slices.Concat(h.ours, h.theirs)
	return append(ours, rest...), append(theirs, rest...)
}

// hunk is what was read of one between conflict markers.
type hunk struct {
	open         marker // <<<<<<<
	in           byte   // the character of the last marker
	ours, theirs []byte
}

// follows has the characters of the markers that may come behind one of each character.
var follows = map[byte]string{'<': "|=", '|': "=", '=': ">"}

// marker is a conflict marker: how often its character stands there.
type marker struct {
	char byte
	n    int
}

// markerOf returns the marker that a line is; one without a character for any other line. A branch's
// name, or nothing, stands behind it. The markers of one hunk are equally long; those inside of a base
// that was merged itself are longer.
func markerOf(line []byte) (m marker) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if !isMarker(string(line)) {
		return m
	}
	rest := bytes.TrimLeft(line, string(line[:1]))
	if len(rest) > 0 && rest[0] != ' ' {
		return m
	}
	return marker{line[0], len(line) - len(rest)}
}
