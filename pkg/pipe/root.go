package pipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

var errNoProject = errors.New("no " + spec.FileName + " in this directory or any above it")

// findRoot returns the nearest directory, dir or one above it, that has a pipe.yaml which no other one
// includes. Links are resolved once, here, so that all later paths agree on the root.
func findRoot(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the current directory: %w", err)
	}
	// Before the directories above: a directory misspelled in -C must not run the project above it.
	if info, err := os.Stat(start); errors.Is(err, fs.ErrNotExist) {
		return "", diag.New(diag.Usage, "no such directory").At(dir)
	} else if err == nil && !info.IsDir() {
		return "", diag.New(diag.Usage, "not a directory").At(dir)
	}
	dvcAt := ""
	for d := start; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, spec.FileName)); err == nil {
			real, err := filepath.EvalSymlinks(d)
			if err != nil {
				return "", err
			}
			return including(real), nil
		}
		if _, err := os.Stat(filepath.Join(d, dvc.StagesFile)); err == nil && dvcAt == "" {
			dvcAt = d
		}
		if d == filepath.Dir(d) {
			return "", noProject(start, dvcAt)
		}
	}
}

// noProject is the error for a directory that lies in no project; dvcAt is the nearest one that
// has a dvc.yaml.
func noProject(start, dvcAt string) error {
	if dvcAt == "" {
		return diag.New(diag.Usage, "%w", errNoProject).At(start).Hinted("pipe init")
	}
	next := "pipe import dvc"
	if dvcAt != start {
		next = "pipe -C " + dvcAt + " import dvc"
	}
	e := isDVC(dvcAt).Hinted("%s writes a %s with the stages of %s, and leaves DVC's files as they are", next, spec.FileName, dvc.StagesFile)
	e.Err = errNoProject
	return e
}

// isDVC is the error for a directory that has a dvc.yaml and no pipe.yaml.
func isDVC(dir string) *diag.Error {
	return diag.New(diag.Usage, "%s without %s: this is a DVC project", dvc.StagesFile, spec.FileName).At(dir)
}

// including returns the directory whose pipe.yaml includes that of dir, in one step or several; dir
// itself when none does. It does not look outside of the git repository.
func including(dir string) string {
	root := dir
	for at := dir; ; {
		_, err := os.Lstat(filepath.Join(at, ".git"))
		if above := filepath.Dir(at); err == nil || above == at {
			return root
		}
		at = filepath.Dir(at)
		if rel, err := filepath.Rel(at, root); err == nil && hasPart(at, filepath.ToSlash(rel)) {
			root = at
		}
	}
}

// hasPart reports whether the pipe.yaml of a directory includes that of one below it.
func hasPart(dir, below string) bool {
	read := readBelow(dir)
	data, err := read(spec.FileName)
	return err == nil && slices.Contains(spec.Includes(data, read), repopath.Path(below).Child(spec.FileName))
}

// readBelow reads files of a directory that may be a project's.
func readBelow(dir string) func(repopath.Path) ([]byte, error) {
	return func(at repopath.Path) ([]byte, error) {
		return atomicfile.Read(filepath.Join(dir, filepath.FromSlash(string(at))), yamldoc.MaxSize)
	}
}
