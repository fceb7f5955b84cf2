package engine

import (
	"slices"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
)

// envRead reports what was wrong with the env files of the selected stages, before anything runs. A dry run
// decides about the other stages: which of the lock's blocks count is to be known without a file of secrets.
func (e *Engine) envRead(selected []bool, dry bool) error {
	if dry {
		return nil
	}
	var faults diag.List
	for i := range e.Project.Stages {
		if s := &e.Project.Stages[i]; selected[i] && !s.Frozen {
			for _, fault := range diag.All(e.Unread[s.Name]) {
				same := func(f *diag.Error) bool { return f.Place == fault.Place && f.What == fault.What }
				if !slices.ContainsFunc(faults, same) { // stages share files
					faults = append(faults, fault)
				}
			}
		}
	}
	return faults.OrNil()
}

// declared returns the values of a stage's declared variables. What an environment gives reaches
// deploy stages alone.
func (r *run) declared(s *spec.Stage, given map[string]string) []action.EnvValue {
	if !s.Deploy {
		given = nil
	}
	return action.Declared(s, given, func(name string) (string, bool) { return shell.Getenv(r.Environ, name) })
}

// outside returns all variables whose values a stage's command may print and nobody should see.
func (r *run) outside(s *spec.Stage, declared []action.EnvValue) []action.EnvValue {
	return slices.Concat(declared, action.Passed(s, r.Environ))
}
