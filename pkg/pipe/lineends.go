package pipe

import (
	"bytes"
	"context"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// maxText is the largest file in bytes that is looked at for its line endings: sources are smaller.
const maxText = 16 << 20

// ended is a file that differs from what was recorded in nothing but its line endings.
type ended struct {
	path       string
	crlf       bool // here; else there
	note       *string
	attributes []string // eol, text
}

// lineEndings adds to a stage's reasons and files that only the line endings differ, and names
// git's setting for it where that is the reason.
func (p *Project) lineEndings(ctx context.Context, s *StageResult) error {
	var all []*ended
	look := func(path, was, now string, note *string) {
		if e := p.onlyEndings(path, was, now); e != nil {
			e.note = note
			all = append(all, e)
		}
	}
	for i := range s.Because {
		if r := &s.Because[i]; r.Code == event.DepChanged {
			look(r.Path, r.Old, r.New, &r.Note)
		}
	}
	for i := range s.Files {
		if f := &s.Files[i]; f.From == "" {
			look(f.Path, f.Old, f.New, &f.Note)
		}
	}
	if len(all) == 0 {
		return nil
	}
	auto, err := p.conversions(ctx, all)
	if err != nil {
		return err
	}
	for _, e := range all {
		*e.note = e.text(auto)
	}
	p.note("to get the same line endings on every machine, commit a .gitattributes file with \"* text=auto eol=lf\" (or \"NAME -text\" for single files), and check the files out again")
	return nil
}

// onlyEndings compares the file that lies at a path with a recorded hash; nil: it differs in more
// than its line endings, or is not the file that was hashed.
func (p *Project) onlyEndings(path, was, now string) *ended {
	old, err := digest.Parse(strings.TrimSuffix(was, lockfile.Executable))
	if err != nil {
		return nil
	}
	b, err := atomicfile.Read(p.inTop(p.fromTop(path)), maxText)
	if err != nil || digest.Of(b).String() != strings.TrimSuffix(now, lockfile.Executable) {
		return nil
	}
	lf := bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	switch old {
	case digest.Of(b):
		return nil // its executable bit
	case digest.Of(lf):
		return &ended{path: path, crlf: true}
	case digest.Of(bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))):
		return &ended{path: path}
	}
	return nil
}

// conversions asks git for the attributes of the files, and returns core.autocrlf.
func (p *Project) conversions(ctx context.Context, all []*ended) (auto string, err error) {
	if p.repo == nil {
		return "", nil
	}
	var paths []repopath.Path
	for _, e := range all {
		paths = append(paths, p.fromTop(e.path))
	}
	attributes, err := p.repo.Attributes(ctx, paths, "eol", "text")
	for i := range attributes {
		all[i].attributes = attributes[i]
	}
	return p.repo.Setting(ctx, "core.autocrlf"), err
}

// text says what differs, and which setting of git here makes it so. What an attribute says goes
// before core.autocrlf: gitattributes(5).
func (e *ended) text(auto string) string {
	if !e.crlf {
		return "only its line endings: LF here, CRLF in pipe.lock"
	}
	t := "only its line endings: CRLF here, LF in pipe.lock"
	if len(e.attributes) < 2 {
		return t
	}
	eol, text := e.attributes[0], e.attributes[1]
	switch {
	case eol == "crlf":
		t += "; .gitattributes sets eol=crlf"
	case eol != "lf" && text != "unset" && strings.EqualFold(auto, "true"):
		t += "; core.autocrlf is true"
	}
	return t
}
