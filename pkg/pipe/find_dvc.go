package pipe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/dvc"
	"github.com/pipe-build/pipe/internal/gitlog"
	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/internal/yamldoc"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// dvcName is a place in a file of DVC's where an md5 stands.
type dvcName struct {
	sum   dvc.Sum
	size  int64           // -1: not told
	what  string          // DVCOut or DVCDep
	stage string          // empty in a .dvc file
	file  repopath.Path   // dvc.lock or the .dvc file, from git's root
	path  string          // of what it names, from the project
	in    *gitlog.Version // the content of file that says so; nil: it is in the workspace
}

// What an artifact is that only DVC's files name.
const (
	DVCOut    = "dvc-out"    // an output by a dvc.lock, or what a .dvc file keeps
	DVCDep    = "dvc-dep"    // an input by a dvc.lock
	DVCInside = "dvc-inside" // a file inside such a directory
)

// dvcPast calls f for each md5 that a dvc.lock or .dvc file names or ever named: in the workspace, then in
// commits, the newest version of each file first. What cannot be read is told once and left out.
func (p *Project) dvcPast(ctx context.Context, f func(dvcName) error) error {
	if err := p.dvcNow(f); err != nil || p.repo == nil {
		return err
	}
	files, err := p.repo.Ever(ctx, "**/"+dvc.LockFile, "**/*"+dvc.DataSuffix)
	if err != nil && ctx.Err() == nil { // as without a git program
		p.leftOut(err)
		return nil
	}
	if err != nil {
		return context.Cause(ctx)
	}
	for _, file := range files {
		if !p.at().Holds(file) {
			continue
		}
		_, err := p.repo.Versions(ctx, file, func(v *gitlog.Version) error {
			data, err := v.Data()
			if errors.Is(err, gitlog.ErrKeptBack) {
				return nil
			}
			var names []dvcName
			if err == nil {
				names, err = p.dvcNames(file, data)
			}
			if err != nil {
				p.leftOut(fmt.Errorf("commit %.12s: %w", v.Last.Hash, err))
				return nil
			}
			for _, n := range names {
				n.in = v
				if err := f(n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dvcNow calls f for the names in the workspace.
func (p *Project) dvcNow(f func(dvcName) error) error {
	d, err := dvc.Find(p.root)
	if err != nil {
		p.leftOut(err)
	}
	if d == nil {
		return nil
	}
	var files []string
	for i := range d.Files {
		files = append(files, path.Join(d.Files[i].Dir, dvc.LockFile))
	}
	for i := range d.Data {
		files = append(files, d.Data[i].Name)
	}
	for _, name := range files {
		data, err := atomicfile.Read(p.path(name), yamldoc.MaxSize)
		if err != nil {
			continue // no dvc.lock yet
		}
		names, err := p.dvcNames(p.at().Child(name), data)
		if err != nil {
			p.leftOut(err)
		}
		for _, n := range names {
			if err := f(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// dvcNames reads the names in a file of DVC's.
func (p *Project) dvcNames(file repopath.Path, data []byte) (names []dvcName, err error) {
	dir := string(p.at().Rel(file.Dir()))
	add := func(what, stage, wdir string, i dvc.Item) {
		if i.Sum.MD5 != "" {
			names = append(names, dvcName{sum: i.Sum, size: i.Size, what: what, stage: stage, file: file, path: path.Join(dir, wdir, i.Path)})
		}
	}
	if file.Base() != dvc.LockFile {
		d, err := dvc.ParseData(string(file), data)
		if err != nil {
			return nil, err
		}
		for _, o := range d.Outs {
			add(DVCOut, "", d.Wdir, o.Item)
		}
		return names, nil
	}
	stages, err := dvc.ParseLock(string(file), data)
	for _, l := range stages {
		stage := path.Join(dir, l.Name)
		for _, o := range l.Outs {
			add(DVCOut, stage, "", o)
		}
		for _, d := range l.Deps {
			add(DVCDep, stage, "", d)
		}
	}
	return names, err
}

// dvcQuery takes the beginning of an md5, with or without md5: before it and .dir behind it.
var dvcQuery = regexp.MustCompile(`^(md5:)?([0-9a-f]{4,32})(\.dir)?$`)

// byDVC looks for a name of DVC's: what it said, and whether pipe knows the bytes by another name.
func (s *search) byDVC(ctx context.Context, query string) error {
	m := dvcQuery.FindStringSubmatch(strings.ToLower(query))
	if m == nil || len(s.found.Artifacts) > 0 && len(m[2]) < 32 {
		return nil
	}
	known, err := dvc.ReadKnown(filepath.Join(s.p.root, worktree.Dir, filepath.FromSlash(dvc.KnownName)))
	if err != nil {
		s.p.leftOut(err)
	}
	s.dvc = &dvcSearch{search: s, prefix: m[2], dirs: m[3] != "", known: known, seen: map[string]int{}, lists: map[string][]dvc.Entry{}}
	if err := s.p.dvcPast(ctx, func(n dvcName) error { return s.dvc.take(ctx, n) }); err != nil {
		return err
	}
	return s.dvc.finish(ctx)
}

// dvcSearch is the part of a search that is about DVC's names.
type dvcSearch struct {
	*search
	prefix string
	dirs   bool // directories alone
	known  dvc.Known
	hits   []dvcHit
	seen   map[string]int // index of hits
	lists  map[string][]dvc.Entry
	store  *dvc.Store
	opened bool
}

type dvcHit struct {
	dvcName
	now      bool // in the workspace
	versions []*gitlog.Version
}

func (d *dvcSearch) take(ctx context.Context, n dvcName) error {
	if strings.HasPrefix(n.sum.MD5, d.prefix) && (!d.dirs || n.sum.Dir) {
		d.add(n)
	}
	if !n.sum.Dir || d.dirs {
		return nil
	}
	list, known := d.lists[n.sum.String()]
	if !known {
		store, err := d.places(ctx)
		if err != nil {
			return err
		}
		if list, err = store.List(ctx, n.sum); err != nil {
			list = nil // what its files were is not known here any more
		}
		list = slices.DeleteFunc(list, func(e dvc.Entry) bool { return !strings.HasPrefix(e.MD5, d.prefix) })
		d.lists[n.sum.String()] = list
	}
	for _, e := range list {
		in := n
		in.size = -1
		in.sum, in.what, in.path = dvc.Sum{MD5: e.MD5, Legacy: n.sum.Legacy}, DVCInside, path.Join(n.path, e.Path)
		d.add(in)
	}
	return nil
}

// add notes one place, once for all versions of the file that have it.
func (d *dvcSearch) add(n dvcName) {
	id := strings.Join([]string{n.what, n.stage, n.path, n.sum.String()}, "\x00")
	i, ok := d.seen[id]
	if !ok {
		i = len(d.hits)
		d.seen[id] = i
		d.hits = append(d.hits, dvcHit{dvcName: n})
	}
	if n.in == nil {
		d.hits[i].now = true
		return
	}
	d.hits[i].versions = append(d.hits[i].versions, n.in)
}

// places opens DVC's cache and default remote, if they are there; with --offline the cache alone.
func (d *dvcSearch) places(ctx context.Context) (*dvc.Store, error) {
	if d.opened {
		return d.store, nil
	}
	d.opened, d.store = true, &dvc.Store{}
	c, err := dvc.ReadConfig(d.p.root, d.p.userConfig()...)
	if err != nil {
		return nil, err
	}
	d.store.Places = append(d.store.Places, dvc.Folder(c.Cache))
	if r := c.Remote(c.Default); r != nil && !d.offline {
		place, err := d.p.openDVC(ctx, r)
		if err != nil {
			d.unasked(r.URL, err)
		}
		if place != nil {
			d.store.Places = append(d.store.Places, place)
		}
	}
	return d.store, nil
}

// finish describes the hits, with the commits that introduced them, and names that are in the map alone.
func (d *dvcSearch) finish(ctx context.Context) error {
	named := map[string]bool{}
	made := map[string]bool{}
	for _, h := range d.hits {
		made[h.path+"\x00"+h.sum.String()] = made[h.path+"\x00"+h.sum.String()] || h.what != DVCDep
	}
	for _, h := range d.hits {
		if h.what == DVCDep && made[h.path+"\x00"+h.sum.String()] {
			continue // the output, or the data, says it all
		}
		named[h.sum.String()] = true
		a := Artifact{What: h.what, MD5: h.sum.String(), Dir: h.sum.Dir, Stage: h.stage, Path: h.path, File: string(h.file), Size: max(h.size, 0), Now: h.now, sum: h.sum}
		var commits []gitlog.Commit
		for _, v := range h.versions {
			commits = append(commits, v.Introduced...)
		}
		slices.SortStableFunc(commits, func(x, y gitlog.Commit) int { return y.When.Compare(x.When) })
		if n := len(commits); n > 0 {
			a.Last, a.First = commitOf(commits[0]), commitOf(commits[n-1])
		}
		if len(d.found.Artifacts) < mostPlaces {
			var err error
			if a.Refs, err = (&history.Hit{Named: history.Named{Commit: commits}}).Refs(ctx, d.p.repo); err != nil {
				return err
			}
		}
		if err := d.describe(ctx, &a); err != nil {
			return err
		}
		d.found.Artifacts = append(d.found.Artifacts, a)
	}
	for _, name := range slices.Sorted(maps.Keys(d.known)) {
		sum, _ := dvc.ParseSum(name, false)
		if named[name] || !strings.HasPrefix(name, d.prefix) || d.dirs && !sum.Dir {
			continue
		}
		a := Artifact{What: DVCOut, MD5: name, Dir: sum.Dir, sum: sum}
		if err := d.describe(ctx, &a); err != nil {
			return err
		}
		d.found.Artifacts = append(d.found.Artifacts, a)
	}
	return nil
}

// describe adds what pipe knows of the bytes.
func (d *dvcSearch) describe(ctx context.Context, a *Artifact) error {
	e, ok := d.known[a.MD5]
	if !ok {
		return nil
	}
	a.Hash, a.Size, a.ref = e.Digest, e.Size, object.Ref{Shelf: object.Files, Digest: e.Digest}
	if a.Dir {
		a.ref.Shelf = object.Trees
	}
	_, err := d.p.cache.Stat(ctx, a.ref)
	there := err == nil
	a.Cache = &there
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// fetchDVC brings the bytes of an artifact that DVC alone has into pipe's cache.
func (s *search) fetchDVC(ctx context.Context, a *Artifact) error {
	if a.MD5 == "" || a.Cache != nil && *a.Cache || a.from != nil {
		return nil
	}
	places, err := s.dvc.places(ctx)
	if err != nil {
		return err
	}
	im := &importing{p: s.p, store: places, r: &Imported{}, known: dvc.Known{}, taken: map[string]bool{}}
	o := &importOut{Out: spec.Out{Path: "object"}, Item: dvc.Item{Sum: a.sum}}
	out, err := im.make(ctx, o)
	if errors.Is(err, dvc.ErrNowhere) {
		e := diag.New(diag.NotFound, "%s is not in DVC's cache or remote, nor in pipe's", a.MD5).Hinted("run dvc pull on a machine that can, or name the remote in .dvc/config")
		if s.offline {
			return e.Hinted("run pipe find without --offline, which asks the remotes, too")
		}
		return e
	}
	if err != nil {
		return err
	}
	a.Hash, a.Size, a.ref = out.Digest, out.Size, object.Of(out)
	return nil
}
