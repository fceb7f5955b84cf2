package pipe

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Initialized is what Init wrote.
type Initialized struct {
	Root  string   `json:"root"`  // the project's directory
	Wrote []string `json:"wrote"` // files that were made or changed
}

// Init writes a first pipe.yaml into dir when there is none, the project's name into one that
// needs it, and the lines that .gitignore and .gitattributes lack: pipe's own directory and
// the outs are ignored, and pipe.lock merges by union. It overwrites nothing: a file that is
// there gets more lines. It can be repeated: what is there already is not added again.
func Init(ctx context.Context, opt Options) (*Initialized, error) {
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, err
	}
	opt.Dir = dir
	r := &Initialized{Root: dir, Wrote: []string{}}
	wrote, err := writeFirst(ctx, opt)
	if err != nil {
		return nil, err
	}
	if wrote {
		r.Wrote = append(r.Wrote, spec.FileName)
	}
	p, err := Open(ctx, opt)
	if err != nil {
		return r, err
	}
	if p.repo == nil {
		return r, nil
	}
	ignored, err := p.ignoreLines()
	if err != nil {
		return r, err
	}
	if err := p.appendLines(&r.Wrote, ".gitignore", ignored); err != nil {
		return r, err
	}
	merged, err := p.attributeLines()
	if err != nil {
		return r, err
	}
	return r, p.appendLines(&r.Wrote, ".gitattributes", merged)
}

// writeFirst makes pipe.yaml, or names the project in the one that is there when it deploys to
// a remote without a name. It reports whether it wrote. It works before Open can, which
// refuses a pipe.yaml without the name.
func writeFirst(ctx context.Context, opt Options) (bool, error) {
	root, err := filepath.EvalSymlinks(opt.Dir)
	if err != nil {
		return false, err
	}
	opt = opt.withDefaults()
	// Half a project, enough to ask git for a name.
	p := &Project{opt: opt, root: root, env: opt.Environ}
	if _, err := p.openGit(); err != nil {
		return false, err
	}
	data, err := atomicfile.Read(p.path(spec.FileName), yamldoc.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return true, atomicfile.Write(p.path(spec.FileName), []byte(spec.First(p.proposedName(ctx))), 0o666, "")
	}
	if err != nil {
		return false, err
	}
	p.spec, err = spec.Parse(spec.FileName, data)
	if err != nil || p.spec.Name != "" || !p.spec.Deploys() || len(p.spec.Remotes) == 0 {
		return false, err
	}
	text, err := spec.AddName(string(data), p.proposedName(ctx))
	if err != nil {
		return false, err
	}
	return true, atomicfile.Write(p.path(spec.FileName), []byte(text), 0o666, "")
}

// ignoreLines returns what .gitignore should say and does not. The rules of all ignore files
// are asked, so a line that says the same in other words counts.
func (p *Project) ignoreLines() ([]string, error) {
	var lines []string
	ignored, err := p.inputs.Ignored(worktree.Dir, true)
	if err != nil {
		return nil, err
	}
	if !ignored {
		lines = append(lines, "/.pipe/")
	}
	outs, err := p.UnignoredOuts()
	for _, o := range outs {
		lines = append(lines, ignoreLine(repopath.Path(o)))
	}
	return lines, err
}

// attributeLines returns what .gitattributes should say of pipe.lock, if it says
// nothing. A union needs no driver: a block that it cut does not count, and the
// record answers for it.
func (p *Project) attributeLines() ([]string, error) {
	b, err := atomicfile.Read(p.path(".gitattributes"), atomicfile.MaxNote)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 0 && strings.TrimPrefix(f[0], "/") == lockfile.FileName {
			return nil, nil
		}
	}
	return []string{lockfile.FileName + " merge=union text eol=lf linguist-generated"}, nil
}

// appendLines adds lines to the end of a file, which need not exist. The file is replaced as a
// whole, so an interruption leaves the old one.
func (p *Project) appendLines(wrote *[]string, name string, lines []string) error {
	old, next, err := p.withLines(name, lines)
	if err != nil || old == next {
		return err
	}
	*wrote = append(*wrote, name)
	return atomicfile.Write(p.path(name), []byte(next), 0o666, "")
}

// withLines returns the text of a file, and that text with more lines at its end.
func (p *Project) withLines(name string, lines []string) (old, next string, err error) {
	b, err := atomicfile.Read(p.path(name), atomicfile.MaxNote)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	old = string(b)
	if len(lines) == 0 {
		return old, old, nil
	}
	if next = old; old != "" && !strings.HasSuffix(old, "\n") {
		next += "\n"
	}
	return old, next + strings.Join(lines, "\n") + "\n", nil
}

// ignoreLine is the line of .gitignore for a path below the project, with what git would take
// for a pattern escaped.
func ignoreLine(at repopath.Path) string {
	var b strings.Builder
	b.WriteByte('/')
	for i, c := range []byte(at) {
		if strings.IndexByte(`*?[\`, c) >= 0 || c == ' ' && i == len(at)-1 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}
