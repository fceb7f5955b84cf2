package pipe

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/worktree"
)

// Initialized is what Init wrote.
type Initialized struct {
	Root  string   `json:"root"`  // the project's directory
	Wrote []string `json:"wrote"` // files that were made or changed
}

// Init writes a first pipe.yaml into dir when there is none, the project's name
// into one that needs it, and the lines that .gitignore lacks: pipe's own
// directory and the outs. It overwrites nothing: a file that is there gets more lines.
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
	lines, err := p.ignoreLines()
	if err != nil || len(lines) == 0 {
		return r, err
	}
	r.Wrote = append(r.Wrote, ".gitignore")
	return r, appendLines(filepath.Join(p.root, ".gitignore"), lines)
}

// writeFirst makes pipe.yaml, or names the project in the one that is there when it
// deploys to a remote without a name. It reports whether it wrote.
func writeFirst(ctx context.Context, opt Options) (bool, error) {
	root, err := filepath.EvalSymlinks(opt.Dir)
	if err != nil {
		return false, err
	}
	opt = opt.withDefaults()
	p := &Project{opt: opt, root: root, env: opt.Environ}
	if _, err := p.openGit(); err != nil {
		return false, err
	}
	data, err := os.ReadFile(p.path(spec.FileName))
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

// ignoreLines returns what .gitignore should say and does not.
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
		lines = append(lines, "/"+o)
	}
	return lines, err
}

func appendLines(path string, lines []string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
		old = append(old, '\n')
	}
	return atomicfile.Write(path, append(old, strings.Join(lines, "\n")+"\n"...), 0o666, "")
}
