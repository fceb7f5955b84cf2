package pipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// ImportOptions say how ImportDVC works.
type ImportOptions struct {
	From     string // the DVC remote that has the objects; empty: DVC's default one
	To       string // pipe's remote; empty: below DVC's
	Deployed bool   // what dvc.lock says of deploy stages is live
	DryRun   bool   // write nothing
}

// Imported is what ImportDVC made, or would make.
type Imported struct {
	Root     string         `json:"root"`               // the project's directory
	Wrote    []string       `json:"wrote"`              // files that were made or changed
	Stages   []ImportStage  `json:"stages"`             // each stage and input
	Notes    []ImportNote   `json:"notes"`              // decisions, and what is not carried over
	Objects  int            `json:"objects"`            // files that were taken into the cache
	Bytes    int64          `json:"bytes"`              // of them
	Names    int            `json:"names"`              // md5 names whose BLAKE3 is known
	Remote   string         `json:"remote,omitempty"`   // pipe's remote
	Deployed []string       `json:"deployed,omitempty"` // deploy stages that count as live
	Files    []ImportedText `json:"files,omitempty"`    // with DryRun: the pipe.yaml files
	Next     string         `json:"next"`               // the command that goes on
}

// ImportStage is what became of a stage or an input.
type ImportStage struct {
	Stage   string `json:"stage"`         // its name
	Carried bool   `json:"carried"`       // pipe repro has nothing to do for it
	Why     string `json:"why,omitempty"` // why not
	Do      string `json:"do,omitempty"`  // what to do about it
}

// ImportNote says of one thing what the import made of it.
type ImportNote struct {
	At   string `json:"at"`           // a file, or file: stage
	What string `json:"what"`         // what became of it
	Do   string `json:"do,omitempty"` // what to do
	Lost bool   `json:"lost"`         // it is not carried over
}

// ImportedText is a file that would be written.
type ImportedText struct {
	Name string `json:"name"` // relative to the project
	Text string `json:"text"` // its text
}

// importing is one call of ImportDVC.
type importing struct {
	p         *Project
	d         *dvc.Project
	how       ImportOptions
	r         *Imported
	texts     []dvc.Text
	templates []dvc.Template // in the commands
	files     *dvc.Files     // of the workspace
	store     *dvc.Store     // DVC's cache and remote
	past      map[string]dvc.Locked
	inputs    map[repopath.Path]dvc.Out
	stages    []*importStage // in an order in which each comes after what it needs
	by        map[string]*importStage
	outs      map[repopath.Path]*importOut
	lock      *lockfile.File

	mu    sync.Mutex // guards what follows, which workers fill in
	known dvc.Known
	taken map[string]bool
}

// ImportDVC makes a project of pipe of one of DVC: pipe.yaml of dvc.yaml and .dvc files, pipe.lock and
// objects of dvc.lock and DVC's cache and remote. No file of DVC's is changed.
//
// pipe.yaml comes last: without it the project is not there, and a call that was stopped is simply made
// again. Objects and records that it left in the cache are found then.
func ImportDVC(ctx context.Context, opt Options, how ImportOptions) (r *Imported, err error) {
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, err
	}
	root, err := dvc.FindRoot(dir)
	if err != nil {
		return nil, err
	}
	given := opt
	if how.To, err = besides(how.To, dir, root); err != nil {
		return nil, err
	}
	given.Dir, opt.Dir, opt.root = root, root, root
	p, err := open(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	d, err := dvc.Find(root, p.userConfig()...)
	if err != nil {
		return nil, err
	}
	im := &importing{
		p: p, d: d, how: how, r: &Imported{Root: root, Wrote: []string{}, Stages: []ImportStage{}, Notes: []ImportNote{}},
		files: dvc.NewFiles(root), by: map[string]*importStage{}, outs: map[repopath.Path]*importOut{}, lock: &lockfile.File{}, taken: map[string]bool{},
	}
	if err := im.refuse(); err != nil {
		return nil, err
	}
	if err := im.run(ctx); err != nil {
		return nil, err
	}
	if how.Deployed && !how.DryRun {
		err = im.deployed(ctx, given)
	}
	return im.r, err
}

// besides returns a directory that the user named in dir as it should stand in root's pipe.yaml; a URL stays.
func besides(to, dir, root string) (string, error) {
	if to == "" || remote.IsURL(to) || filepath.IsAbs(to) {
		return to, nil
	}
	rel, err := filepath.Rel(root, filepath.Join(dir, to))
	return filepath.ToSlash(rel), err
}

// userConfig names DVC's files of configuration beside the repository's, the weakest first.
func (p *Project) userConfig() []string { return dvc.UserFiles(runtime.GOOS, p.variable) }

// refuse refuses what is pipe's already. A pipe.yaml in a sub-directory that an earlier import has written is
// written anew: the root's comes last, so that one was stopped.
func (im *importing) refuse() error {
	again := "to import it anew, remove pipe.yaml and run pipe import dvc again; otherwise go on with pipe repro"
	if _, err := os.Lstat(im.p.path(spec.FileName)); err == nil {
		return diag.New(diag.Usage, "pipe.yaml already exists: the project is pipe's already").At(im.p.path(spec.FileName)).Hinted("%s", again)
	}
	for _, f := range im.d.Files {
		name := path.Join(f.Dir, spec.FileName)
		b, err := atomicfile.Read(im.d.OS(name), yamldoc.MaxSize)
		if err == nil && !strings.HasPrefix(string(b), dvc.Header) {
			return diag.New(diag.Usage, "pipe.yaml already exists, and pipe import dvc did not write it").At(name).
				Hinted("move it away, run pipe import dvc, and add its stages to the new one")
		}
	}
	if len(im.d.Files)+len(im.d.Data) == 0 {
		return diag.New(diag.Usage, "nothing to import: no dvc.yaml and no .dvc file").At(im.d.Root).Hinted("pipe init")
	}
	for _, f := range im.d.Data {
		if f.Cmd {
			return diag.New(diag.Usage, "an older DVC wrote this file: it has a stage with cmd").At(f.Name).
				Hinted("move the stage to dvc.yaml (dvc stage add), remove the file, then run pipe import dvc")
		}
	}
	return nil
}

// run does it all but for the deployments.
func (im *importing) run(ctx context.Context) (err error) {
	if err := im.checkTo(); err != nil {
		return err
	}
	if err := im.openStores(ctx); err != nil {
		return err
	}
	if err := im.convert(ctx); err != nil {
		return err
	}
	if !im.how.DryRun {
		release, err := im.p.holdBoth(ctx, "import dvc")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
		if im.p.readOnly != nil {
			return im.p.cannotWrite("pipe.yaml has to be written")
		}
	}
	if im.known, err = dvc.ReadKnown(im.knownFile()); err != nil {
		return err
	}
	ignores, err := im.ignores()
	if err != nil {
		return err
	}
	if !im.how.DryRun { // before any key: what is ignored is no input
		if err := im.write(ignores); err != nil {
			return err
		}
	}
	if err := im.decide(ctx); err != nil {
		return err
	}
	if !im.how.DryRun {
		if err := im.take(ctx); err != nil {
			return err
		}
	}
	if err := im.lookBack(ctx); err != nil {
		return err
	}
	if err := im.beside(ctx); err != nil {
		return err
	}
	im.describe()
	return im.finish(ctx, ignores)
}

// note adds what people should know.
func (im *importing) note(n ImportNote) { im.r.Notes = append(im.r.Notes, n) }

// lost says what is not carried over.
func (im *importing) lost(at, what, do string) {
	im.note(ImportNote{At: at, What: what, Do: do, Lost: true})
}

// convert makes the texts, and reads them as Open will.
func (im *importing) convert(ctx context.Context) error {
	im.takeData()
	to := dvc.Target{Name: im.p.proposedName(ctx)}
	for at := range im.inputs {
		text := string(at)
		if im.inputs[at].Sum.Dir {
			text += "/"
		}
		to.Inputs = append(to.Inputs, text)
	}
	slices.Sort(to.Inputs)
	to.Remote = im.remoteText()
	c, err := im.reconvert(to)
	if err == nil {
		c, err = im.keepRaw(c, to)
	}
	if err != nil {
		return err
	}
	for _, n := range c.Notes {
		im.note(ImportNote(n))
	}
	im.templates = c.Templates
	if err := im.openOthers(ctx, c.Remotes); err != nil {
		return err
	}
	return im.p.openTop(ctx)
}

// parse reads the texts in place of files that are not written yet.
func (im *importing) parse() (err error) {
	im.p.instead = map[repopath.Path][]byte{}
	for _, t := range im.texts {
		im.p.instead[repopath.Path(path.Join(t.Dir, spec.FileName))] = []byte(t.Text)
	}
	im.p.yaml = []byte(im.texts[0].Text)
	if im.p.spec, err = im.p.parse(im.p.yaml); err != nil {
		return im.explained(err)
	}
	return checkRemotes(im.p.spec.Remotes)
}

// explained says of faults in a text that is not written where its cause is: the user has only dvc.yaml.
func (im *importing) explained(err error) error {
	var faults diag.List
	for _, e := range diag.All(err) {
		fault := *e
		fault.What = "cannot convert: " + fault.What
		file, rest, ok := strings.Cut(fault.Place, ":")
		if ok && path.Base(file) == spec.FileName {
			fault.Place = path.Join(path.Dir(file), dvc.StagesFile)
			if line := im.line(file, rest); line != "" {
				fault.What += fmt.Sprintf(" (%s)", line)
			}
		}
		faults = append(faults, &fault)
	}
	return faults
}

// line returns the line of a converted text that a place names.
func (im *importing) line(file, place string) string {
	var n int
	if _, err := fmt.Sscanf(place, "%d:", &n); err != nil {
		return ""
	}
	lines := strings.Split(string(im.p.instead[repopath.Path(file)]), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return strings.TrimSpace(lines[n-1])
}

// takeData makes inputs of what the .dvc files keep.
func (im *importing) takeData() {
	im.inputs = map[repopath.Path]dvc.Out{}
	for i := range im.d.Data {
		f := &im.d.Data[i]
		for _, o := range f.Outs {
			name := f.At(o)
			at, err := repopath.Join(repopath.Root, name)
			switch {
			case strings.Contains(name, "://"):
				im.lost(f.Name, name+" is not carried over: it is outside the repository", "name it as {url: ...} among the deps of stages, or download it and run pipe add")
			case err == nil && dvc.Owns(name):
				im.lost(f.Name, name+" is not carried over: it belongs to DVC", "")
			case err != nil:
				im.lost(f.Name, o.Path+" is not carried over: "+err.Error(), "move it into the repository and run pipe add")
			case o.Cloud || o.Sum.MD5 == "":
				im.lost(f.Name, o.Path+" has no md5, because a version-aware remote keeps it", "run dvc pull, then pipe add "+string(at))
			case o.NoCache:
				im.lost(f.Name, o.Path+" has cache: false, so DVC does not keep its bytes", "run pipe add "+string(at)+" if pipe shall keep them")
			default:
				im.inputs[at] = o
				if f.From != "" {
					im.note(ImportNote{
						At: f.Name, What: string(at) + " was imported from " + f.From + ": it is an input now, and dvc update does not reach it",
						Do: "name a repository in sources:, or a {url: ...} among the deps, to follow it",
					})
				}
			}
		}
	}
}
