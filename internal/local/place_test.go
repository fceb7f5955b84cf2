//go:build !windows

package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/ignore"
	"github.com/pipe-build/pipe/internal/inputs"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/mem"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place is a workspace with a cache and a remote.
type place struct {
	*local.Runner
	t       testing.TB
	cache   *disk.Store
	remote  *mem.Store
	project *spec.Project
	outs    map[repopath.Path]bool
	printed []string

	mu    sync.Mutex
	notes []string
}

// open returns a workspace with these files, whose contents are their names.
func open(t testing.TB, stages string, files ...string) *place {
	t.Helper()
	root := t.TempDir()
	p := &place{t: t, remote: mem.New(), cache: disk.Open(filepath.Join(root, worktree.Dir, "cache")), outs: map[repopath.Path]bool{}}
	work, err := worktree.Open(root, worktree.Options{Workers: 2})
	must(t, err)
	must(t, work.Prepare())
	p.Runner = &local.Runner{
		Workspace: &local.Workspace{
			Work: work, Inputs: inputs.New(work, ignore.NoRepoRules()), Cache: p.cache, Carrier: &transfer.Carrier{Cache: p.cache, Remote: p.remote, Workers: 2},
			Note: func(stage, text string) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.notes = append(p.notes, stage+": "+text)
			},
		},
		IsOut: func(at repopath.Path) bool { return p.outs[at] },
		Now:   time.Now,
	}
	if stages != "" {
		var err error
		p.project, err = spec.Parse(spec.FileName, []byte("stages:\n"+stages))
		must(t, err)
		for _, s := range p.project.Stages {
			for _, o := range s.Outs {
				p.outs[o.Path] = true
			}
		}
	}
	for _, f := range files {
		p.write(f, f)
	}
	return p
}

// hold takes the workspace's lock for the runner, until the test ends.
func (p *place) hold() {
	p.t.Helper()
	h, err := local.Acquire(p.t.Context(), p.Work, local.Wanted{Verb: "test", Say: func(s string) { p.t.Error(s) }})
	must(p.t, err)
	p.t.Cleanup(func() { must(p.t, h.Release()) })
	p.Hold = h
}

func (p *place) path(name string) string { return p.Work.OS(repopath.Path(name)) }

func (p *place) write(name, content string) {
	p.t.Helper()
	must(p.t, os.MkdirAll(filepath.Dir(p.path(name)), 0o777))
	must(p.t, os.WriteFile(p.path(name), []byte(content), 0o666))
}

// read returns a file's content; "-" when it is not there.
func (p *place) read(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(p.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return "-"
	}
	must(p.t, err)
	return string(b)
}

// saved puts an output that was here into the cache, and takes it away.
func (p *place) saved(name, content string) artifact.Output {
	p.t.Helper()
	p.write(name, content)
	return p.takeAway(strings.Split(name, "/")[0])
}

// takeAway puts what lies at a path into the cache, and removes it.
func (p *place) takeAway(name string) artifact.Output {
	p.t.Helper()
	o, err := p.Work.Save(p.t.Context(), p.cache, repopath.Path(name))
	must(p.t, err)
	must(p.t, os.RemoveAll(p.path(name)))
	return o
}

func (p *place) published(o artifact.Output) artifact.Output {
	p.t.Helper()
	must(p.t, p.Carrier.Publish(p.t.Context(), []artifact.Output{o}))
	return o
}

func (p *place) object(ref object.Ref) string {
	return filepath.Join(p.Work.Root(), worktree.Dir, "cache", filepath.FromSlash(store.Path(ref)))
}

// damage replaces an object's bytes in the cache by others of the same number.
func (p *place) damage(ref object.Ref) {
	p.t.Helper()
	at := p.object(ref)
	b, err := os.ReadFile(at)
	must(p.t, err)
	must(p.t, os.Chmod(at, 0o666))
	must(p.t, os.WriteFile(at, []byte(strings.Repeat("?", len(b))), 0o666))
}

func (p *place) has(ref object.Ref) bool {
	p.t.Helper()
	_, err := p.cache.Stat(p.t.Context(), ref)
	if !errors.Is(err, store.ErrNotFound) {
		must(p.t, err)
	}
	return err == nil
}

// job is what an engine asks of a stage: its deps are read as they lie there.
func (p *place) job(stage string, made ...artifact.Output) *action.Job {
	p.t.Helper()
	s := p.project.Stage(stage)
	j := &action.Job{Stage: s, Made: made, Env: []string{"PATH=" + os.Getenv("PATH")}, Line: func(line []byte) {
		p.printed = append(p.printed, string(line))
	}}
	for _, d := range s.Deps {
		was, _, err := p.Inputs.Read(p.t.Context(), d, s.Excludes, inputs.Made{Is: p.IsOut})
		must(p.t, err)
		j.Reads = append(j.Reads, action.Read{Dep: d, Was: was})
	}
	var err error
	j.Params, err = p.Params(p.t.Context(), s, made)
	must(p.t, err)
	return j
}

// runs runs a job, which must succeed, and settles it.
func (p *place) runs(j *action.Job) *action.Made {
	p.t.Helper()
	made, err := p.Run(p.t.Context(), j)
	must(p.t, err)
	must(p.t, made.Settle(true))
	return made
}

// left names what a run has left in pipe's own directory but for the cache.
func (p *place) left() string {
	p.t.Helper()
	var all []string
	for _, dir := range []string{"aside", "tmp", "partial"} {
		names, err := filepath.Glob(filepath.Join(p.Work.Root(), worktree.Dir, dir, "*"))
		must(p.t, err)
		for _, n := range names {
			rel, err := filepath.Rel(p.Work.Root(), n)
			must(p.t, err)
			all = append(all, rel)
		}
	}
	return strings.Join(all, " ")
}
