package pipe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
	"github.com/pipe-build/pipe/pkg/lockfile"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// cells returns where environments live, and how to list them.
func (p *Project) cells() (store.Cells, store.Lister) {
	if p.remote == nil {
		local := disk.Open(filepath.Join(p.root, worktree.Dir))
		return local, local
	}
	lister, _ := p.remote.(store.Lister)
	return p.remote, lister
}

// Hashed is a path and its hash.
type Hashed struct {
	Path string        `json:"path"` // relative to the project
	Hash digest.Digest `json:"hash"`
	Dir  bool          `json:"dir,omitempty"`
	Size int64         `json:"size"`
}

// Hash returns what pipe takes the hash of each path to be: of a file its
// BLAKE3-256, which b3sum prints; of an output directory its tree's; of another
// directory that of its files that git does not ignore, with recorded outs
// standing for those inside it: the same as a stage sees in PIPE_HASH_ variables.
func (p *Project) Hash(ctx context.Context, paths []string) ([]Hashed, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	outs := map[repopath.Path]artifact.Output{}
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		for _, o := range s.Outs {
			outs[o.Path] = artifact.Output{Path: o.Path}
			if l := lock.Stage(s.Name); l != nil {
				for _, recorded := range l.Outs {
					if recorded.Path == o.Path {
						outs[o.Path] = recorded
					}
				}
			}
		}
	}
	var all []Hashed
	for _, name := range paths {
		h, err := p.hashOne(ctx, name, outs)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

func (p *Project) hashOne(ctx context.Context, name string, outs map[repopath.Path]artifact.Output) (Hashed, error) {
	at, err := p.inside(name)
	if err != nil {
		return Hashed{}, err
	}
	_, isOut := outs[at]
	for up := at.Dir(); up != repopath.Root && up != "" && at != repopath.Root; up = up.Dir() {
		_, in := outs[up]
		isOut = isOut || in
	}
	if isOut {
		o, _, err := p.work.Output(ctx, at)
		if errors.Is(err, worktree.ErrAbsent) && !outs[at].Digest.IsZero() {
			o, err = outs[at], nil
		}
		if err != nil {
			return Hashed{}, missingPath(name, err)
		}
		return Hashed{Path: string(at), Hash: o.Digest, Dir: o.Dir, Size: o.Size}, nil
	}
	var below []artifact.Output
	for path, o := range outs {
		if path != at && at.Holds(path) && !o.Digest.IsZero() {
			below = append(below, o)
		}
	}
	slices.SortFunc(below, func(a, b artifact.Output) int { return strings.Compare(string(a.Path), string(b.Path)) })
	is := func(q repopath.Path) bool { _, ok := outs[q]; return ok }
	in, tree, err := p.inputs.Read(ctx, spec.Dep{Path: at, Place: name}, nil, inputs.Made{Is: is, Inside: below})
	if err != nil {
		return Hashed{}, missingPath(name, err)
	}
	return Hashed{Path: string(at), Hash: in.Digest, Dir: tree != nil, Size: in.Size}, nil
}

func missingPath(name string, err error) error {
	var d *diag.Error
	if errors.As(err, &d) && d.Kind == diag.Usage || errors.Is(err, worktree.ErrAbsent) {
		return diag.New(diag.NotFound, "no such file or directory, and no lock names it").At(name).Hinted("pipe pull brings outs that are not here")
	}
	return err
}

// inside returns the repository path of a path as the user wrote it, relative to the directory pipe runs in.
func (p *Project) inside(name string) (repopath.Path, error) {
	abs := name
	if !filepath.IsAbs(abs) {
		dir, err := filepath.Abs(p.opt.Dir)
		if err != nil {
			return "", err
		}
		abs = filepath.Join(dir, name)
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(real, filepath.Base(abs))
	}
	rel, err := filepath.Rel(p.root, abs)
	if err == nil {
		var at repopath.Path
		if at, err = repopath.FromOS(rel); err == nil {
			return at, nil
		}
	}
	return "", diag.New(diag.Usage, "%w", err).At(name).Hinted("give a path inside %s", p.root)
}

// Status is how the workspace stands against the lock and the environment.
type Status struct {
	Result
	Outs []OutStatus `json:"outs"`
	Note string      `json:"note,omitempty"` // why the environment could not be asked
}

// OutStatus is how one recorded out stands in the workspace.
type OutStatus struct {
	Stage string        `json:"stage"`
	Path  string        `json:"path"`
	Hash  digest.Digest `json:"hash"`
	State string        `json:"state"` // same, absent, differs
	Cache bool          `json:"cache"` // its bytes are in the cache
}

// Status compares the workspace with the lock, without the network but for the
// environment's state. It writes nothing but the stat index.
func (p *Project) Status(ctx context.Context, opt ReproOptions) (*Status, error) {
	opt.NoPull = true
	r, err := p.Plan(ctx, opt)
	s := &Status{Outs: []OutStatus{}}
	if err != nil && (diag.Is(err, diag.Network) || diag.Is(err, diag.Auth)) && r != nil {
		s.Note, err = err.Error(), nil
	}
	if err != nil {
		return nil, err
	}
	s.Result = *r
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	for i := range lock.Stages {
		l := &lock.Stages[i]
		if p.spec.Stage(l.Name) == nil {
			continue
		}
		for _, o := range l.Outs {
			st := OutStatus{Stage: l.Name, Path: string(o.Path), Hash: o.Digest, State: "differs"}
			here, _, err := p.work.Output(ctx, o.Path)
			switch {
			case errors.Is(err, worktree.ErrAbsent):
				st.State = "absent"
			case err != nil:
				return nil, err
			case here.Same(o):
				st.State = "same"
			}
			_, err = p.cache.Stat(ctx, object.Of(o))
			st.Cache = err == nil
			s.Outs = append(s.Outs, st)
		}
	}
	return s, nil
}

// Why returns the verdict on one stage with all its reasons; what it needs is
// decided with it.
func (p *Project) Why(ctx context.Context, stage string, opt ReproOptions) (*StageResult, error) {
	if p.spec.Stage(stage) == nil {
		return nil, diag.New(diag.Usage, "no stage is called %q", stage).At(spec.FileName).Hinted("pipe dag lists the stages")
	}
	opt.Targets = []string{stage}
	r, err := p.Plan(ctx, opt)
	if err != nil {
		return nil, err
	}
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Stage == stage {
			s.Files, err = p.changedFiles(ctx, s)
			return s, err
		}
	}
	return nil, diag.New(diag.Failed, "no verdict on %s", stage)
}

// changedFiles compares the manifests of directory deps, then and now.
func (p *Project) changedFiles(ctx context.Context, s *StageResult) (files []Change, err error) {
	for _, why := range s.Because {
		now := s.trees[repopath.Path(why.Path)]
		if why.Code != event.DepChanged || now == nil {
			continue
		}
		then, err := p.manifest(ctx, why.Old)
		if err != nil {
			return nil, err
		}
		if then == nil {
			p.note("what " + why.Path + " held then is not known any more")
			continue
		}
		files = append(files, diffFacts(s.Stage, treeFacts(why.Path, then), treeFacts(why.Path, now))...)
	}
	return files, nil
}

// manifest reads the manifest of an input of the past; nil when no store has it.
func (p *Project) manifest(ctx context.Context, hash string) (*object.Tree, error) {
	d, err := digest.Parse(hash)
	if err != nil {
		return nil, nil //nolint:nilerr // the reason names no digest: an executable bit
	}
	for _, s := range []store.Store{p.cache, p.remote} {
		if s == nil {
			continue
		}
		b, err := store.ReadAll(ctx, s, object.Ref{Shelf: object.Inputs, Digest: d}, object.MaxTree)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return object.ParseInput(b)
	}
	return nil, nil
}

func treeFacts(dir string, t *object.Tree) (list []fact) {
	for _, e := range t.Entries {
		path := string(e.Path)
		if !repopath.HasMeta(dir) {
			path = dir + "/" + path
		}
		value := e.Digest.String()
		if e.Kind == object.Executable {
			value += " (executable)"
		}
		list = append(list, fact{"file", path, value})
	}
	return list
}

// Change is one difference between two locks.
type Change struct {
	Stage string `json:"stage"`
	What  string `json:"what"` // stage, command, dep, param, env, out
	Path  string `json:"path,omitempty"`
	Old   string `json:"old,omitempty"` // empty: was not there
	New   string `json:"new,omitempty"` // empty: is not there any more
}

// Diff compares the locks of two commits; an empty to is the workspace's lock,
// an empty from is HEAD.
func (p *Project) Diff(ctx context.Context, from, to string) ([]Change, error) {
	if from == "" {
		from = "HEAD"
	}
	a, err := p.lockAtCommit(ctx, from)
	if err != nil {
		return nil, err
	}
	b, err := p.lock()
	if to != "" {
		b, err = p.lockAtCommit(ctx, to)
	}
	if err != nil {
		return nil, err
	}
	return diffLocks(a, b), nil
}

func diffLocks(a, b *lockfile.File) []Change {
	changes := []Change{}
	names := map[string]bool{}
	for _, l := range []*lockfile.File{a, b} {
		for i := range l.Stages {
			names[l.Stages[i].Name] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	for _, n := range sorted {
		changes = append(changes, diffFacts(n, facts(a.Stage(n)), facts(b.Stage(n)))...)
	}
	return changes
}

// fact is one line of a lock's stage.
type fact struct{ what, path, value string }

func facts(s *lockfile.Stage) []fact {
	if s == nil {
		return nil
	}
	list := []fact{{"command", "", s.Cmd.String()}}
	for _, d := range s.Deps {
		list = append(list, fact{"dep", string(d.Path), d.Digest.String()})
	}
	for _, x := range s.Params {
		list = append(list, fact{"param", string(x.File) + ":" + x.Key, x.Value})
	}
	for _, e := range s.Env {
		list = append(list, fact{"env", e.Name, e.Hash + e.Value})
	}
	for _, o := range s.Outs {
		list = append(list, fact{"out", string(o.Path), o.Digest.String()})
	}
	return list
}

func diffFacts(stage string, a, b []fact) (out []Change) {
	old := map[[2]string]string{}
	for _, f := range a {
		old[[2]string{f.what, f.path}] = f.value
	}
	for _, f := range b {
		id := [2]string{f.what, f.path}
		if o, ok := old[id]; !ok || o != f.value {
			out = append(out, Change{Stage: stage, What: f.what, Path: f.path, Old: o, New: f.value})
		}
		delete(old, id)
	}
	for _, f := range a {
		if v, ok := old[[2]string{f.what, f.path}]; ok {
			out = append(out, Change{Stage: stage, What: f.what, Path: f.path, Old: v})
		}
	}
	return out
}

func (p *Project) lockAtCommit(ctx context.Context, rev string) (*lockfile.File, error) {
	if p.repo == nil {
		return nil, diag.New(diag.Usage, "not in a git repository").At(p.root).Hinted("git init")
	}
	hash, err := p.repo.Resolve(ctx, rev)
	if err != nil {
		return nil, err
	}
	data, err := p.repo.FileAt(ctx, hash, p.lockAt)
	if errors.Is(err, gitlog.ErrNoFile) {
		return &lockfile.File{}, nil
	}
	if err != nil {
		return nil, err
	}
	return lockfile.Parse(rev+":"+string(p.lockAt), data)
}

// Graph is the stages and what they need.
type Graph struct {
	Stages []GraphStage `json:"stages"` // each after what it needs
}

// GraphStage is one stage of a graph.
type GraphStage struct {
	Name   string   `json:"name"`
	Desc   string   `json:"desc,omitempty"`
	Deploy bool     `json:"deploy,omitempty"`
	Needs  []string `json:"needs"`
}

// Dag returns the stages in an order in which each comes after what it needs.
func (p *Project) Dag() *Graph {
	g := p.spec.Edges()
	order, _ := g.Sort()
	out := &Graph{Stages: []GraphStage{}}
	for _, i := range order {
		s := &p.spec.Stages[i]
		n := GraphStage{Name: s.Name, Desc: s.Desc, Deploy: s.Deploy, Needs: []string{}}
		for _, u := range g.Up(i) {
			n.Needs = append(n.Needs, p.spec.Stages[u].Name)
		}
		slices.Sort(n.Needs)
		out.Stages = append(out.Stages, n)
	}
	return out
}

// Remotes returns the declared remotes, the default first.
func (p *Project) Remotes() []RemoteInfo {
	out := []RemoteInfo{}
	for i, r := range p.spec.Remotes {
		out = append(out, RemoteInfo{Name: r.Name, URL: r.URL, Endpoint: r.Endpoint, Region: r.Region, Default: i == 0})
	}
	return out
}

// RemoteInfo is a declared remote.
type RemoteInfo struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	Endpoint string `json:"endpoint,omitempty"`
	Region   string `json:"region,omitempty"`
	Default  bool   `json:"default,omitempty"`
}

// Probe really writes to the remote, reads back, and tests conditional writes.
func (p *Project) Probe(ctx context.Context) (url string, err error) {
	remote, err := p.needRemote(ctx)
	if err != nil {
		return "", err
	}
	body := []byte("pipe probe\n")
	ref := object.Ref{Digest: digest.Of(body)}
	if err := remote.Put(ctx, ref, store.Bytes(body)); err != nil {
		return remote.URL(), err
	}
	got, err := store.ReadAll(ctx, remote, ref, 1<<10)
	if err != nil {
		return remote.URL(), err
	}
	if string(got) != string(body) {
		return remote.URL(), diag.New(diag.Integrity, "what was put is not what was got").At(remote.URL())
	}
	return remote.URL(), remote.Probe(ctx)
}

// UnignoredOuts returns the outs that git does not ignore though pipe keeps their bytes.
func (p *Project) UnignoredOuts() ([]string, error) {
	if p.repo == nil {
		return nil, nil
	}
	var out []string
	for i := range p.spec.Stages {
		for _, o := range p.spec.Stages[i].Outs {
			if o.NoCache {
				continue
			}
			info, err := os.Lstat(p.work.OS(o.Path))
			ignored, ierr := p.inputs.Ignored(o.Path, o.Dir || err == nil && info.IsDir())
			if ierr != nil {
				return nil, ierr
			}
			if !ignored {
				out = append(out, string(o.Path))
			}
		}
	}
	return out, nil
}
