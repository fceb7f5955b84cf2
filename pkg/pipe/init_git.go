package pipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// What .gitattributes says of pipe.lock. A union needs no driver: a block that it cut does not count, and
// the record answers for it. A clone without the configuration that diff=pipe names ignores that.
const (
	attributeLine = lockfile.FileName + " merge=union text eol=lf linguist-generated diff=pipe"
	olderLine     = lockfile.FileName + " merge=union text eol=lf linguist-generated" // without diff=pipe
)

// How git diff shows pipe.lock. A textconv that fails makes git diff fail, so where pipe is not on the PATH,
// or too old, the file is shown as it is. git's cache of texts is not used: it would keep those of an
// older pipe, in a reference of its own, and save a millisecond.
const (
	diffSetting = "diff.pipe.textconv"
	diffCommand = `f() { pipe lock textconv "$1" 2>/dev/null || cat "$1"; }; f`
)

// attributes returns the text of .gitattributes, and that text with what it should say of pipe.lock: if it
// says nothing, or just what an older pipe wrote.
func (p *Project) attributes() (old, next string, err error) {
	b, err := atomicfile.Read(p.path(".gitattributes"), atomicfile.MaxNote)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	said := false
	for line := range strings.Lines(string(b)) {
		text := strings.TrimRight(line, "\r\n")
		said = said || aboutLock(text) != nil
		if text == olderLine {
			line = attributeLine + line[len(text):]
		}
		next += line
	}
	if said {
		return string(b), next, nil
	}
	return p.withLines(".gitattributes", []string{attributeLine})
}

// aboutLock returns the attributes that a line gives to pipe.lock, nil when it is about something else.
func aboutLock(line string) []string {
	if f := strings.Fields(line); len(f) > 0 && strings.TrimPrefix(f[0], "/") == lockfile.FileName {
		return f
	}
	return nil
}

// diffsShort reports whether attributes let git diff show pipe.lock by pipe.
func diffsShort(attributes string) bool {
	short := false
	for line := range strings.Lines(attributes) {
		for _, a := range aboutLock(line) {
			if strings.TrimLeft(a, "-!") == "diff" || strings.HasPrefix(a, "diff=") {
				short = a == "diff=pipe" // the last one counts
			}
		}
	}
	return short
}

// configure sets what the attributes name. Without it they do no harm, so a configuration that cannot
// be written is a note.
func (p *Project) configure(ctx context.Context, r *Initialized) {
	if len(r.Config) == 0 {
		return
	}
	if err := p.repo.Configure(ctx, diffSetting, diffCommand); err != nil {
		r.Config = nil
		p.note(fmt.Sprintf("could not set %s, so git diff shows all of pipe.lock; run pipe init again to set it: %v", diffSetting, err))
	}
}
