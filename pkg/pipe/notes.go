package pipe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/spec"
)

// noteInferred names the stages that deploy only because they have no outs: people mean a check
// by them as often.
func (p *Project) noteInferred() {
	var names []string
	place := ""
	for i := range p.spec.Stages {
		if s := &p.spec.Stages[i]; s.Inferred {
			names = append(names, s.Name)
			if place == "" {
				place = s.Place + ": "
			}
		}
	}
	if len(names) > 0 {
		p.note(fmt.Sprintf("%sno outs, so these are deploy stages: %s; write deploy: true there, or check: true if they only test something", place, strings.Join(names, ", ")))
	}
}

// noteSecrets names the declared variables that look like secrets and are not said
// to be: whoever can try all values of one finds it out from the key.
func (p *Project) noteSecrets(full *spec.Project) {
	for _, e := range full.LookSecret() {
		p.note(fmt.Sprintf("%s: %s looks like a secret, and a short value can be guessed from its hash in pipe.lock; write env: [{%s: {secret: true}}], or secret: false to silence this note",
			e.Place, e.Name, e.Name))
	}
}

// unsetSecrets returns the declared secrets that have no value here, sorted: commands get nothing in their place, and
// a deployment would go on with that.
func (p *Project) unsetSecrets() (names []string) {
	stages := p.withEnv().full.Stages
	for i := range stages {
		for _, e := range action.Declared(&stages[i], nil, p.getenv) {
			if e.Secret && !e.Literal && e.Value == "" {
				names = append(names, e.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
