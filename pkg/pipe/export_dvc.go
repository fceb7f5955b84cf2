package pipe

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ExportOptions say how ExportDVC works.
type ExportOptions struct {
	Force  bool // replace files of DVC's that are there and differ
	DryRun bool // write nothing
}

// ExportedDVC is what ExportDVC made, or would make.
type ExportedDVC struct {
	Wrote   []string      `json:"wrote"`   // files in the project that were made or changed
	Stages  []ImportStage `json:"stages"`  // each stage and input
	Notes   []ImportNote  `json:"notes"`   // decisions, and what is not carried over
	Objects int           `json:"objects"` // files in DVC's cache that were written
	Bytes   int64         `json:"bytes"`   // of them
	Next    string        `json:"next"`    // the command that goes on
}

// exporting is one call of ExportDVC.
type exporting struct {
	*Project
	r       *ExportedDVC
	how     ExportOptions
	lock    *lockfile.File
	c       *transfer.Carrier
	cacheAt string // DVC's cache
	files   *dvc.Files
	kept    map[repopath.Path]keptOut // by path, what DVC has of outputs
	texts   map[string][]byte         // files to write, by their names in the project
	current map[string]bool           // stages whose pipe.lock says what would be made now
}

// ExportDVC makes a project of DVC of this one: dvc.yaml, dvc.lock, a .dvc file for each input, and in DVC's cache
// the bytes of all that pipe.lock names. No file of pipe's is changed, and none of DVC's without Force.
//
// dvc.yaml comes last: a call that was stopped is made again.
func (p *Project) ExportDVC(ctx context.Context, how ExportOptions) (r *ExportedDVC, err error) {
	plan, err := p.Plan(ctx, ReproOptions{NoDeploy: true, silent: true})
	if err != nil {
		return nil, err
	}
	release, err := p.holdBoth(ctx, "export dvc")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if p.readOnly != nil && !how.DryRun {
		return nil, p.cannotWrite("DVC's files are to be written")
	}
	x := &exporting{
		Project: p, how: how, files: dvc.NewFiles(p.root), kept: map[repopath.Path]keptOut{}, texts: map[string][]byte{}, current: map[string]bool{},
		r: &ExportedDVC{Wrote: []string{}, Stages: []ImportStage{}, Notes: []ImportNote{}},
	}
	for _, s := range plan.Stages {
		x.current[s.Stage] = s.Verb == event.Skip || s.Verb == event.Frozen
	}
	if x.lock, err = p.lock(); err == nil {
		x.c, err = p.carry(ctx)
	}
	if err == nil {
		x.c.NoFetch = how.DryRun
		err = x.run(ctx)
	}
	if err != nil {
		return nil, transfer.Explained(err)
	}
	return x.r, nil
}

// run does it all, in the order in which each part needs what came before: DVC's ignore files decide what it sees, and
// dvc.lock names objects.
func (x *exporting) run(ctx context.Context) error {
	if err := x.repository(ctx); err != nil {
		return err
	}
	if err := x.ignoreFiles(); err != nil {
		return err
	}
	if err := x.objects(ctx); err != nil {
		return err
	}
	stages := map[string][]dvc.Stage{}
	for i := range x.spec.Stages {
		if s := &x.spec.Stages[i]; s.Input {
			x.input(s)
		} else if err := x.stage(ctx, s, stages); err != nil {
			return err
		}
	}
	last, err := x.stageFiles(stages)
	if err != nil {
		return err
	}
	x.next()
	return x.write(last)
}

// repository finds DVC's cache, and makes the directory by which DVC knows a project if there is none.
func (x *exporting) repository(ctx context.Context) error {
	// The file is the last that is made there: without it, a call was stopped.
	if _, err := os.Stat(x.path(dvc.Dir + "/config")); err == nil {
		c, err := dvc.ReadConfig(x.root, x.userConfig()...)
		if err == nil {
			x.cacheAt = c.Cache
		}
		return err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	x.cacheAt = x.path(dvc.Dir + "/cache")
	x.texts[dvc.Dir+"/.gitignore"] = []byte("/config.local\n/tmp\n/cache\n")
	x.texts[dvc.Dir+"/config"] = []byte{}
	if x.repo == nil {
		x.texts[dvc.Dir+"/config"] = []byte("[core]\n    no_scm = True\n")
	}
	return ctx.Err()
}

// ignoreFiles makes a .dvcignore of each .pipeignore. One that is there says what its owner wants.
func (x *exporting) ignoreFiles() error {
	own := "# pipe's own directory\n/" + worktree.Dir + "\n"
	found := map[string]string{".": own}
	err := filepath.WalkDir(x.root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && slices.Contains([]string{".git", dvc.Dir, worktree.Dir}, e.Name()) {
			return filepath.SkipDir
		}
		if e.Name() != ".pipeignore" || !e.Type().IsRegular() {
			return nil
		}
		text, err := atomicfile.Read(name, atomicfile.MaxNote)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(x.root, filepath.Dir(name))
		if err == nil {
			rel = filepath.ToSlash(rel)
			found[rel] += string(text)
		}
		return err
	})
	if err != nil {
		return err
	}
	for dir, text := range found {
		name := path.Join(dir, dvc.IgnoreFile)
		old, err := atomicfile.Read(x.path(name), yamldoc.MaxSize)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			x.texts[name] = []byte(text)
			x.files.Ignore(dir, []byte(text))
		case err != nil:
			return err
		case dir == "." && !strings.Contains(string(old), worktree.Dir):
			x.note(name, "stays as it is", "add the line /"+worktree.Dir+", so that DVC does not look into pipe's cache", false)
		}
	}
	return nil
}

func (x *exporting) note(at, what, do string, lost bool) {
	n := ImportNote{At: at, What: what, Do: do, Lost: lost}
	if !slices.Contains(x.r.Notes, n) {
		x.r.Notes = append(x.r.Notes, n)
	}
}

// said notes how far a stage or an input got.
func (x *exporting) said(s *spec.Stage, why, do string) {
	if why == "" {
		do = ""
	}
	x.r.Stages = append(x.r.Stages, ImportStage{Stage: s.Name, Carried: why == "", Why: why, Do: do})
}

// input makes the .dvc file of an input.
func (x *exporting) input(s *spec.Stage) {
	at := s.Outs[0].Path
	k, ok := x.kept[at]
	if !ok {
		x.said(s, "pipe.lock does not have it", "pipe add "+string(at)+", then pipe export dvc again")
		return
	}
	name, inside := dvc.DataName(string(at))
	item := k.item
	item.Path = inside
	if ignored, err := x.inputs.Ignored(repopath.Path(name), false); err == nil && ignored {
		// DVC refuses a file of its own that git ignores.
		name, item.Path = strings.ReplaceAll(name, "/", "-"), string(at)
	}
	for x.texts[name] != nil { // of another input: a/b-c is not a-b/c
		name = "other-" + name
	}
	x.texts[name] = dvc.EncodeData(item)
	x.said(s, "", "")
}

// stageFiles makes the dvc.yaml and dvc.lock of each pipe.yaml. The names that it returns are written last.
func (x *exporting) stageFiles(stages map[string][]dvc.Stage) (last []string, err error) {
	if len(stages) == 0 {
		stages["."] = nil
	}
	for _, dir := range slices.Sorted(maps.Keys(stages)) {
		some := stages[dir]
		name := path.Join(dir, spec.FileName)
		text := x.yaml
		if dir != "." {
			// It may be another file of that directory that is included.
			if text, err = atomicfile.Read(x.path(name), yamldoc.MaxSize); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		e, err := dvc.Export(name, text, some, dir != ".")
		if err != nil {
			return nil, err
		}
		for _, n := range e.Notes {
			x.note(n.At, n.What, n.Do, n.Lost)
		}
		x.texts[path.Join(dir, dvc.StagesFile)] = []byte(e.Text)
		last = append(last, path.Join(dir, dvc.StagesFile))
		if lock := dvc.EncodeLock(some); lock != nil {
			x.texts[path.Join(dir, dvc.LockFile)] = lock
		}
	}
	slices.SortFunc(last, func(a, b string) int {
		return cmp.Or(strings.Count(b, "/")-strings.Count(a, "/"), strings.Compare(a, b))
	})
	return last, nil
}

// next says what people do now: DVC brings what is not in the workspace out of its cache.
func (x *exporting) next() {
	x.r.Next = "dvc status"
	for at := range x.kept {
		if _, err := x.work.Kind(at); worktree.Gone(err) {
			x.r.Next = "dvc checkout"
		}
	}
}

// write writes the files that differ from what is there, those that are last after all others.
func (x *exporting) write(last []string) error {
	var names, there []string
	for name, text := range x.texts {
		old, err := atomicfile.Read(x.path(name), yamldoc.MaxSize)
		switch {
		case err == nil && string(old) == string(text):
			continue
		case err == nil:
			there = append(there, name)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		names = append(names, name)
	}
	slices.Sort(there)
	// A dvc.lock without its dvc.yaml was left by a call that was stopped.
	there = slices.DeleteFunc(there, func(name string) bool {
		_, err := os.Lstat(x.path(path.Join(path.Dir(name), dvc.StagesFile)))
		return path.Base(name) == dvc.LockFile && err != nil
	})
	if len(there) > 0 && !x.how.Force {
		return diag.New(diag.Policy, "already exists, with other content").At(strings.Join(there, ", ")).Hinted("pipe export dvc --force replaces it; git keeps what was committed")
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(slices.Index(last, a), slices.Index(last, b)), strings.Compare(a, b))
	})
	x.r.Wrote = append(x.r.Wrote, names...)
	if x.how.DryRun {
		return nil
	}
	for _, name := range names {
		if ignored, err := x.inputs.Ignored(repopath.Path(name), false); err == nil && ignored && !strings.HasPrefix(name, dvc.Dir+"/") {
			return diag.New(diag.Policy, "git ignores the file, and DVC refuses to read it then").At(name).Hinted("git check-ignore -v %s", name)
		}
	}
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(x.path(name)), 0o777); err != nil {
			return err
		}
		if err := x.Project.write(name, x.texts[name]); err != nil {
			return err
		}
	}
	return nil
}
