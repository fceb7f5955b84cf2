package pipe

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Unadded is what Unadd did.
type Unadded struct {
	Paths []string `json:"paths"` // no longer inputs; what lies there stays
	Wrote []string `json:"wrote"` // files of the project that changed
}

// Unadd takes Add back: the paths leave inputs: in pipe.yaml, pipe.lock and .gitignore. The files
// stay where they are, and what the remote has of them stays there.
//
// pipe.yaml comes last: who is stopped before finds the entry there, and can run it again.
func (p *Project) Unadd(ctx context.Context, names []string) (r *Unadded, err error) {
	h, err := p.hold(ctx, "unadd")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	old, err := atomicfile.Read(p.path(spec.FileName), yamldoc.MaxSize)
	if err != nil {
		return nil, err
	}
	text := string(old)
	r = &Unadded{Paths: []string{}, Wrote: []string{}}
	var paths []repopath.Path
	for _, name := range names {
		at, err := p.added(name)
		if err != nil {
			return nil, err
		}
		if text, err = spec.RemoveInput(text, at, p.options(p.file)); err != nil {
			return nil, err
		}
		paths = append(paths, at)
		r.Paths = append(r.Paths, string(at))
	}
	if p.readOnly != nil {
		return nil, p.cannotWrite(spec.FileName + " has to change")
	}
	lock, err := p.lockToWrite()
	if err != nil {
		return nil, err
	}
	if err := p.unignore(&r.Wrote, paths); err != nil {
		return nil, err
	}
	before := string(lock.Encode())
	lock.Keep(func(name string) bool {
		return !slices.ContainsFunc(paths, func(at repopath.Path) bool { return spec.InputName(at) == name })
	})
	if err := p.rewrite(&r.Wrote, lockfile.FileName, before, string(lock.Encode())); err != nil {
		return nil, err
	}
	if err := p.rewrite(&r.Wrote, spec.FileName, string(old), text); err != nil {
		return nil, err
	}
	return r, p.read(ctx)
}

// added returns the input that a user named.
func (p *Project) added(name string) (repopath.Path, error) {
	at, err := p.work.Inside(p.opt.Dir, name)
	if err == nil && p.spec.Stage(spec.InputName(at)) != nil {
		return at, nil
	}
	var known []string
	for _, s := range p.spec.Inputs() {
		known = append(known, string(s.Outs[0].Path))
	}
	e := diag.New(diag.Usage, "not an input of the project").At(name)
	if near := yamldoc.Nearest(name, known); near != "" {
		return "", e.Hinted("did you mean %s?", near)
	}
	return "", e.Hinted("inputs: in %s lists them", spec.FileName)
}

// ignore adds the lines that .gitignore lacks for the paths. One that is there already is not
// added again, though a stronger rule may undo it.
func (p *Project) ignore(wrote *[]string, paths []repopath.Path) error {
	if p.repo == nil {
		return nil
	}
	p.inputs.Forget()
	outs, err := p.UnignoredOuts()
	if err != nil {
		return err
	}
	const name = ".gitignore"
	old, _, err := p.withLines(name, nil)
	if err != nil {
		return err
	}
	var lines []string
	for _, at := range paths {
		if slices.Contains(outs, string(at)) && !slices.Contains(strings.Split(strings.ReplaceAll(old, "\r", ""), "\n"), ignoreLine(at)) {
			lines = append(lines, ignoreLine(at))
		}
	}
	_, next, err := p.withLines(name, lines)
	if err != nil {
		return err
	}
	return p.rewrite(wrote, name, old, next)
}

// unignore removes the lines that ignore has added; others that say the same stay.
func (p *Project) unignore(wrote *[]string, paths []repopath.Path) error {
	const name = ".gitignore"
	old, err := atomicfile.Read(p.path(name), atomicfile.MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var next strings.Builder
	for line := range strings.Lines(string(old)) {
		said := strings.TrimRight(line, "\r\n")
		if !slices.ContainsFunc(paths, func(at repopath.Path) bool { return said == ignoreLine(at) }) {
			next.WriteString(line)
		}
	}
	return p.rewrite(wrote, name, string(old), next.String())
}
