package lockfile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
)

// Bounds of what is read.
const (
	MaxSize = 128 << 20 // bytes of a lock: GitHub takes no file above 100 MB
	maxLine = 1 << 20   // bytes of a line
)

// Parse reads a lock block by block. A block counts when its sum is right and it
// is in the form that Encode writes; what does not count is in Absent, and the
// rest of the file counts all the same. So what a merge leaves, conflict markers
// among it, is read as the blocks that either side wrote.
//
// It fails with kind Policy and file:line:column when a newer version wrote the
// lock, with kind Usage when data is too large or no lock at all.
func Parse(file string, data []byte) (*File, error) { return parse(file, data, nil, pick) }

// Parser reads many locks of which each has most blocks of the one before, as those of a
// history do: such a block is not checked and read again. What it returns shares memory and
// is not to be changed. The zero value is ready for use by one goroutine.
type Parser struct {
	last map[string]Stage // by the text of the block, its sum included
}

// Parse is like the function Parse.
func (p *Parser) Parse(file string, data []byte) (*File, error) { return parse(file, data, p, pick) }

// parse reads a lock; choose says which of several whole blocks of one name counts.
func parse(file string, data []byte, memory *Parser, choose func([]block) (block, bool)) (*File, error) {
	if len(data) > MaxSize {
		return nil, diag.New(diag.Usage, "larger than %d MiB", MaxSize>>20).At(file).Hinted(restore, file)
	}
	data = withoutBases(unixLines(data))
	r := &reader{file: file, data: data, text: string(data), lines: 1}
	n := bytes.Count(data, []byte("\n"+beginField))
	r.found = make([]block, 0, n)
	if memory != nil {
		r.last, r.read = memory.last, make(map[string]Stage, n)
		defer func() { memory.last = r.read }()
	}
	for r.at < len(r.text) && r.err == nil {
		from := r.at
		line := r.next()
		if name, ok := strings.CutPrefix(line, beginField); ok && artifact.IsStageName(name) {
			r.known = true
			r.block(name, r.lineOf(from))
			continue
		}
		r.between(line, from)
	}
	if r.err != nil {
		return nil, r.err
	}
	if !r.known && strings.TrimSpace(r.text) != "" {
		return nil, diag.New(diag.Usage, "is not a pipe.lock file").At(file+":1:1").Hinted(restore, file)
	}
	return r.result(choose), nil
}

// unixLines drops what editors and git put around lines: a byte order mark, and \r before \n.
func unixLines(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	}
	return data
}

const restore = "restore it (git checkout HEAD -- %s), or delete it and run pipe repro"

// The lines around a block begin with these.
const (
	beginField = "  # begin "
	endField   = "  # end "
)

// withoutBases empties what stands in diff3's conflict markers between ||||||| and
// =======: it is on neither side, though a block in it is whole.
func withoutBases(data []byte) []byte {
	if !bytes.Contains(data, []byte("|||||||")) {
		return data
	}
	out := make([]byte, 0, len(data))
	bars := 0 // how many began the base that we are in
	for line := range bytes.Lines(data) {
		if bars > 0 && string(bytes.TrimRight(line, "\n")) == strings.Repeat("=", bars) {
			bars = 0
		}
		if bars > 0 {
			out = append(out, '\n')
			continue
		}
		out = append(out, line...)
		if bytes.HasPrefix(line, []byte("|||||||")) {
			bars = len(line) - len(bytes.TrimLeft(line, "|"))
		}
	}
	return out
}

// reader goes through a lock line by line.
type reader struct {
	file string
	data []byte
	text string // data
	at   int    // where the next line begins

	lines   int // the number of the line at counted
	counted int

	known  bool // something of a lock was met
	found  []block
	absent []Absent
	marker int // the line of the first conflict marker
	stray  int // the line of the first that belongs to no block
	err    error

	last, read map[string]Stage // of the lock before, and of this one; nil without a Parser
}

// block is one that is whole: of a stage, or of a source, which has no more of a Stage than the name.
type block struct {
	Stage
	source *Source
	text   string
	line   int
}

// next returns the next line without its end.
func (r *reader) next() string {
	line, _, _ := strings.Cut(r.text[r.at:], "\n")
	r.at = min(r.at+len(line)+1, len(r.text))
	return line
}

// lineOf returns the number of the line that begins at i, which never goes back.
func (r *reader) lineOf(i int) int {
	r.lines += strings.Count(r.text[r.counted:i], "\n")
	r.counted = i
	return r.lines
}

// between looks at a line outside of blocks.
func (r *reader) between(line string, at int) {
	schema, isSchema := strings.CutPrefix(line, "schema: ")
	n, _ := strconv.Atoi(schema)
	switch {
	case strings.TrimSpace(line) == "" || line == "stages:" || line == "stages: {}":
	case line+"\n" == banner:
		r.known = true
	case isSchema && schema == strconv.Itoa(Schema):
		r.known = true
	case isSchema && n > Schema:
		r.err = diag.Newer("pipe.lock", n).At(fmt.Sprintf("%s:%d:9", r.file, r.lineOf(at)))
	case isMarker(line):
		if r.marker == 0 {
			r.marker = r.lineOf(at)
		}
	case r.stray == 0:
		r.stray = r.lineOf(at)
	}
}

// isMarker reports whether a line is one of git's conflict markers.
func isMarker(line string) bool {
	return len(line) >= 7 && strings.Trim(line[:7], line[:1]) == "" && strings.Contains("<=>|", line[:1])
}

// block reads the block of name whose first line, with the number line, was just passed.
func (r *reader) block(name string, line int) {
	from, to := r.at, len(r.text)
	if i := strings.Index(r.text[from-1:], "\n  # "); i >= 0 {
		to = from + i
	}
	body := r.text[from:to]
	r.at = to
	if end := endField + name; r.text[to:min(to+len(end)+1, len(r.text))] != end+"\n" && r.text[to:] != end {
		r.damaged(name, line, body, "its end is missing")
		return
	}
	r.next()
	n := len(body) - len(sumField) - len("0123456789abcdef\n")
	if n < 0 || !strings.HasPrefix(body[n:], sumField) {
		r.damaged(name, line, body, "its sum is missing")
		return
	}
	if s, ok := r.last[body]; ok && s.Name == name {
		r.keep(s, body, n, line)
		return
	}
	if sum := sumOf(r.data[from : from+n]); body[n+len(sumField):] != string(sum[:])+"\n" {
		r.damaged(name, line, body, "it does not match its sum (edited by hand, or merged line by line)")
		return
	}
	if r.read != nil {
		body = strings.Clone(body) // a Stage that stays must not keep the whole lock
	}
	if r.form(name, body, n, line) {
		return
	}
	body = body[:n]
	if what, at := newer(name, body); what != "" {
		start := strings.LastIndexByte(body[:at], '\n') + 1
		place := fmt.Sprintf("%s:%d:%d", r.file, r.lineOf(from+at), utf8.RuneCountInString(body[start:at])+1)
		r.err = diag.Unknown("stage "+name, what).At(place)
		return
	}
	r.damaged(name, line, body, "it is malformed")
}

// form takes a block whose sum over its first n bytes is right, if the rest of it is, too.
func (r *reader) form(name, whole string, n, line int) bool {
	body := whole[:n]
	if longLine(body) {
		return false
	}
	if strings.HasPrefix(name, SourcePrefix) {
		s, ok := scanSource(name, body)
		if ok {
			r.found = append(r.found, block{Stage{Name: name}, &s, body, line})
		}
		return ok
	}
	s, ok := scan(name, body)
	if ok {
		r.keep(s, whole, n, line)
	}
	return ok
}

// keep takes the block with the text whole, of which the first n bytes are what its sum covers.
func (r *reader) keep(s Stage, whole string, n, line int) {
	r.found = append(r.found, block{s, nil, whole[:n], line})
	if r.read != nil {
		r.read[whole] = s
	}
}

func longLine(s string) bool {
	if len(s) <= maxLine {
		return false
	}
	for line := range strings.Lines(s) {
		if len(line) > maxLine {
			return true
		}
	}
	return false
}

func (r *reader) damaged(name string, line int, body, why string) {
	n := line
	for l := range strings.Lines(body) {
		n++
		if isMarker(strings.TrimSuffix(l, "\n")) {
			why = "it contains git conflict markers"
			if r.marker == 0 {
				r.marker = n
			}
			break
		}
	}
	r.absent = append(r.absent, Absent{name, line, why})
}

// result settles what is there more than once.
func (r *reader) result(choose func([]block) (block, bool)) *File {
	slices.SortStableFunc(r.found, func(a, b block) int { return cmp.Compare(a.Name, b.Name) })
	f := &File{Stages: slices.Grow([]Stage(nil), len(r.found))}
	for from, to := 0, 0; from < len(r.found); from = to {
		for to = from + 1; to < len(r.found) && r.found[to].Name == r.found[from].Name; to++ {
		}
		same := r.found[from:to]
		if b, ok := choose(same); ok {
			if b.source != nil {
				f.Sources = append(f.Sources, *b.source)
			} else {
				f.Stages = append(f.Stages, b.Stage)
			}
			continue
		}
		r.absent = append(r.absent, Absent{same[0].Name, same[0].line, "it occurs twice, with different contents"})
	}
	f.Absent = r.said(f)
	return f
}

// pick returns the one of several whole blocks of a stage that counts: of one key,
// that of the latest deliberate rebuild. Else none does: nothing here says which.
func pick(same []block) (best block, ok bool) {
	best, ok = same[0], true
	for _, b := range same[1:] {
		switch {
		case b.text == best.text || b.Key == best.Key && b.Generation < best.Generation:
		case b.Key != best.Key:
			return best, false
		case b.Generation == best.Generation:
			ok = false
		default:
			best, ok = b, true
		}
	}
	return best, ok
}

// said returns what was passed over, each stage once and only those that are not in f.
func (r *reader) said(f *File) []Absent {
	seen := map[string]bool{}
	r.absent = slices.DeleteFunc(r.absent, func(a Absent) bool {
		again := seen[a.Stage] || f.Stage(a.Stage) != nil || slices.ContainsFunc(f.Sources, func(s Source) bool { return s.Name() == a.Stage })
		seen[a.Stage] = true
		return again
	})
	switch {
	case r.marker > 0:
		r.absent = append(r.absent, Absent{Line: r.marker, Why: "git conflict markers; the blocks around them were read"})
	case r.stray > 0 && len(r.absent) == 0:
		r.absent = append(r.absent, Absent{Line: r.stray, Why: "ignored lines that belong to no block"})
	}
	slices.SortStableFunc(r.absent, func(a, b Absent) int { return cmp.Compare(a.Line, b.Line) })
	if len(r.absent) == 0 {
		return nil
	}
	return r.absent
}
