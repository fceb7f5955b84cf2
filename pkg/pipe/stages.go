package pipe

import (
	"slices"

	"github.com/pipe-build/pipe/internal/spec"
)

// The kinds of stages.
const (
	KindBuild  = "build"  // makes outputs
	KindCheck  = "check"  // succeeds or fails
	KindDeploy = "deploy" // acts in an environment
)

// StageInfo is a stage as pipe.yaml declares it.
type StageInfo struct {
	Name  string   `json:"name"`            // its name
	Kind  string   `json:"kind"`            // one of the constants
	Group string   `json:"group,omitempty"` // the foreach or matrix that it comes from
	Outs  []string `json:"outs"`            // the paths that it makes
	Desc  string   `json:"desc,omitempty"`  // from pipe.yaml
}

// StageList returns the stages that targets name, all of them when there are none, sorted by name. The
// inputs of the project are not among them.
func (p *Project) StageList(targets []string) ([]StageInfo, error) {
	names, err := p.targets(targets)
	if err != nil {
		return nil, err
	}
	all := []StageInfo{}
	for i := range p.spec.Stages {
		s := &p.spec.Stages[i]
		if s.Input || len(targets) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		info := StageInfo{Name: s.Name, Kind: kindOf(s), Group: s.Group, Desc: s.Desc, Outs: []string{}}
		for _, o := range s.Outs {
			info.Outs = append(info.Outs, string(o.Path))
		}
		all = append(all, info)
	}
	return all, nil
}

// kindOf returns the kind of a stage.
func kindOf(s *spec.Stage) string {
	switch {
	case s.Check:
		return KindCheck
	case s.Deploy:
		return KindDeploy
	}
	return KindBuild
}
