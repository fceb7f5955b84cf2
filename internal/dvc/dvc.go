// Package dvc reads and writes the files and stores of DVC: it turns a project of DVC into one of pipe, and back.
//
// Find reads what git and DVC keep of a project: dvc.yaml, dvc.lock, the .dvc files, .dvc/config and
// .dvcignore, into values. Convert writes the stages as the text of pipe.yaml files and lists what
// it could not carry over, with what to do. Files hashes the workspace by DVC's rules, and Store reads
// objects from DVC's cache and remote, in both of its layouts; each byte is checked against its md5 while BLAKE3
// is computed. Known is the map from one name to the other, which FORMAT.md describes.
//
// The way back: Export writes the text of a pipe.yaml as a dvc.yaml, EncodeLock and EncodeData the files beside it, and Keep puts
// bytes into DVC's cache. Nothing else of DVC's is ever written here.
package dvc

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Project is what lies in a directory with .dvc in it.
type Project struct {
	Root  string   // absolute
	Files []File   // dvc.yaml files, that of the root first, then sorted
	Data  []DataAt // .dvc files, sorted
	// Ignores are the directories that have a .dvcignore with a pattern in it, sorted; "." is the root.
	Ignores []string
	*Config
}

// File is a dvc.yaml with its dvc.lock.
type File struct {
	Dir    string // relative to the root, with slashes; "." is the root
	Text   []byte
	Locked []Locked
}

// Name returns the file's own name from the root.
func (f *File) Name() string { return path.Join(f.Dir, StagesFile) }

// DataAt is a .dvc file and where it is.
type DataAt struct {
	Name string // relative to the root, with slashes
	Data
}

// At returns where an out of it lies, relative to the root, or absolute as it is written.
func (d *DataAt) At(o Out) string {
	switch {
	case path.IsAbs(o.Path), strings.Contains(o.Path, "://"):
		return o.Path
	case path.IsAbs(d.Wdir):
		return path.Join(d.Wdir, o.Path)
	}
	return path.Join(path.Dir(d.Name), d.Wdir, o.Path)
}

// FindRoot returns the nearest directory, dir or one above it, that is a project of DVC.
func FindRoot(dir string) (string, error) {
	nearest := "" // with a dvc.yaml, where no .dvc is left
	for d := dir; ; d = filepath.Dir(d) {
		if info, err := os.Stat(filepath.Join(d, Dir)); err == nil && info.IsDir() {
			return filepath.EvalSymlinks(d)
		}
		if _, err := os.Stat(filepath.Join(d, StagesFile)); err == nil && nearest == "" {
			nearest = d
		}
		if d == filepath.Dir(d) {
			if nearest != "" {
				return filepath.EvalSymlinks(nearest)
			}
			return "", diag.New(diag.Usage, "not a DVC project: no .dvc directory here or in any directory above").At(dir).
				Hinted("run it in a directory where dvc init was run, or run pipe init for a new project")
		}
	}
}

// Find reads the project at root. global are files of configuration beside the repository's own.
func Find(root string, global ...string) (*Project, error) {
	c, err := ReadConfig(root, global...)
	if err != nil {
		return nil, err
	}
	p := &Project{Root: root, Config: c}
	f := &finder{Project: p}
	err = f.walk(".", ignore.NoRepoRules())
	if err == nil {
		err = f.faults.OrNil()
	}
	slices.SortFunc(p.Files, func(a, b File) int {
		return cmp.Or(-boolean(a.Dir == ".", b.Dir == "."), strings.Compare(a.Dir, b.Dir))
	})
	return p, err
}

// boolean compares two booleans.
func boolean(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// finder looks for DVC's files, and collects all that is wrong with them.
type finder struct {
	*Project
	faults diag.List
}

// walk looks into a directory, as DVC does: not where .dvcignore forbids it, nor into its own and git's
// directories, nor into another project of DVC below this one.
func (f *finder) walk(dir string, rules *ignore.Rules) error {
	b, err := dvcIgnore(f.OS(dir))
	if err != nil {
		return err
	}
	rules = rules.Enter("", b)
	entries, err := os.ReadDir(f.OS(dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		at := path.Join(dir, e.Name())
		switch {
		case rules.Match(e.Name(), e.IsDir()):
		case !e.IsDir():
			for _, one := range diag.All(f.take(at, e)) {
				f.faults = append(f.faults, one)
			}
		case f.enters(at):
			if err := f.walk(at, rules.Enter(e.Name(), nil)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Project) enters(dir string) bool {
	switch path.Base(dir) {
	case Dir, ".git", ".hg", ".pipe", "node_modules":
		return false
	}
	_, err := os.Stat(filepath.Join(p.OS(dir), Dir))
	return err != nil
}

// take reads a file, if it is one of DVC's.
func (p *Project) take(rel string, e fs.DirEntry) error {
	base := path.Base(rel)
	known := base == StagesFile || base == IgnoreFile || strings.HasSuffix(base, DataSuffix)
	if !known || !e.Type().IsRegular() {
		return nil
	}
	text, err := atomicfile.Read(p.OS(rel), yamldoc.MaxSize)
	if err != nil {
		return err
	}
	switch {
	case base == StagesFile:
		return p.addFile(rel, text)
	case base == IgnoreFile:
		if len(Patterns(text)) > 0 {
			p.Ignores = append(p.Ignores, path.Dir(rel))
		}
		return nil
	}
	d, err := ParseData(rel, text)
	if err == nil {
		p.Data = append(p.Data, DataAt{rel, *d})
	}
	return err
}

func (p *Project) addFile(rel string, text []byte) error {
	f := File{Dir: path.Dir(rel), Text: text}
	name := path.Join(f.Dir, LockFile)
	lock, err := atomicfile.Read(p.OS(name), yamldoc.MaxSize)
	switch {
	case err == nil:
		f.Locked, err = ParseLock(name, lock)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	p.Files = append(p.Files, f)
	return err
}

// OS returns where a path relative to the root lies.
func (p *Project) OS(rel string) string { return filepath.Join(p.Root, filepath.FromSlash(rel)) }

// Patterns returns the lines of a .dvcignore that say something.
func Patterns(text []byte) (lines []string) {
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}
