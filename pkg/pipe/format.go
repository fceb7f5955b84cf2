package pipe

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

// Stdin is the name that stands for standard input where a file may be named.
const Stdin = "-"

// Formatted is a file in pipe's style.
type Formatted struct {
	File    string `json:"file"`    // as the user would write it; - for stdin
	Changed bool   `json:"changed"` // it is, or would be, another one
	Text    string `json:"-"`       // in pipe's style
	Before  string `json:"-"`       // as it is now
}

// Format returns files in pipe's style: those named, of which a directory is its pipe.yaml and "-"
// is stdin, or the pipe.yaml of the project and what it includes. It writes nothing; see Save. A file
// that cannot be formatted keeps no other back.
func Format(ctx context.Context, opt Options, stdin io.Reader, names []string) (all []Formatted, err error) {
	root := ""
	if len(names) == 0 {
		if root, err = findRoot(opt.Dir); err != nil {
			return nil, err
		}
		names, err = included(opt.Dir, root)
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
		name, data, rerr := readNamed(opt.Dir, name, stdin)
		var out []byte
		switch {
		case rerr != nil:
		case filepath.Base(name) == lockfile.FileName: // its form is frozen, and YAML only by its looks
			rerr = diag.New(diag.Usage, "only pipe writes this file; it cannot be formatted").At(name)
		default:
			out, rerr = yamldoc.Format(name, data)
		}
		if err = errors.Join(err, rerr); rerr == nil {
			all = append(all, Formatted{File: name, Changed: string(out) != string(data), Text: string(out), Before: string(data)})
		}
	}
	return all, err
}

// Save replaces the file. It does not wait for a run that works in the project: a run has read its pipe.yaml when
// it began. If the file is no longer what was formatted, it is left as it is.
func (f *Formatted) Save(opt Options) error {
	at, err := filepath.EvalSymlinks(written(opt.Dir, f.File))
	if err != nil {
		return err
	}
	now, err := atomicfile.Read(at, yamldoc.MaxSize)
	switch {
	case err != nil:
		return err
	case string(now) != f.Before:
		return diag.New(diag.Busy, "changed while it was formatted").At(f.File).Hinted("run pipe fmt again")
	}
	return atomicfile.Write(at, []byte(f.Text), 0o666, "")
}

// written returns the path of a name that a user wrote in dir.
func written(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// readNamed reads a file that a user has named in dir: stdin, a file, or the pipe.yaml of a
// directory. It returns the name of what was read.
func readNamed(dir, name string, stdin io.Reader) (string, []byte, error) {
	if name == Stdin {
		data, err := io.ReadAll(io.LimitReader(stdin, yamldoc.MaxSize+1))
		return name, data, err
	}
	if info, err := os.Stat(written(dir, name)); err == nil && info.IsDir() {
		name = filepath.Join(name, spec.FileName)
	}
	data, err := atomicfile.Read(written(dir, name), yamldoc.MaxSize)
	if errors.Is(err, os.ErrNotExist) {
		err = diag.New(diag.Usage, "no such file").At(name)
	}
	return name, data, err
}

// included returns the pipe.yaml of the project at root and all files that it includes, as a user in dir would
// write them. What is not there, or cannot be read, is the affair of those who read the project.
func included(dir, root string) ([]string, error) {
	here, err := filepath.Abs(dir)
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	if err != nil {
		return nil, err
	}
	files := []string{filepath.Join(root, spec.FileName)}
	read := readBelow(root)
	if data, err := read(spec.FileName); err == nil {
		for _, at := range spec.Includes(data, read) {
			if file := filepath.Join(root, filepath.FromSlash(string(at))); exists(file) {
				files = append(files, file)
			}
		}
	}
	for i, f := range files {
		if rel, err := filepath.Rel(here, f); err == nil {
			files[i] = rel
		}
	}
	return files, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
