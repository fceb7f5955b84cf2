package pipe

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/view"
)

// Names are what a command line may name in a project.
type Names struct {
	Stages       []Name   // sorted
	Groups       []Name   // of stages, sorted
	Outs         []Name   // sorted; relative to the directory where pipe runs, with the system's separators
	Remotes      []Name   // in pipe.yaml's order
	Sources      []Name   // in pipe.yaml's order
	Environments []string // those of pipe.yaml, without which there is default, and those that this machine knows of
}

// Name is one of them, with a few words about it.
type Name struct {
	Name  string // as it is written on a command line
	About string // may be empty
}

// Names returns the names for the completion of a command line. It asks no remote.
func (p *Project) Names(ctx context.Context) Names {
	n := Names{}
	if !p.spec.DeclaresEnvironments() {
		n.Environments = []string{Options{}.withDefaults().Env}
	}
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		about, _, _ := strings.Cut(s.Desc, "\n")
		n.Stages = append(n.Stages, Name{s.Name, about})
		for _, o := range s.Outs {
			at, err := filepath.Rel(p.here("."), p.work.OS(o.Path))
			if err == nil {
				n.Outs = append(n.Outs, Name{at, "output of " + s.Name})
			}
		}
	}
	for _, g := range p.spec.Groups() {
		n.Groups = append(n.Groups, Name{g, "group of " + view.Count(len(p.spec.Members(g)), "stage")})
	}
	slices.SortFunc(n.Outs, func(a, b Name) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range p.spec.Remotes {
		n.Remotes = append(n.Remotes, Name{r.Name, r.URL})
	}
	for _, s := range p.spec.Sources {
		n.Sources = append(n.Sources, Name{string(s.Path), s.Git})
	}
	// What cannot be read is not offered: nobody reads errors while they type.
	if declared, err := p.declared(); err == nil {
		for i := range declared.All {
			if e := &declared.All[i]; !e.IsPattern() {
				n.Environments = append(n.Environments, e.Name)
			}
		}
	}
	local := p.local()
	states, _ := release.All(ctx, local, release.Options{Lister: local})
	for _, s := range states {
		n.Environments = append(n.Environments, s.Env)
	}
	slices.Sort(n.Environments)
	n.Environments = slices.Compact(n.Environments)
	return n
}
