package pipe

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// known opens an environment that is to be looked at or changed by hand, not deployed to: it has a state, or pipe.yaml
// declares it. d is what pipe.yaml says of it; nil: nothing, or it has no environments at all.
func (p *Project) known(ctx context.Context, name string) (e *release.Environment, s *release.Sight, d *spec.Environment, err error) {
	all, err := p.declared()
	if err != nil {
		return nil, nil, nil, err
	}
	var undeclared error
	if p.spec.DeclaresEnvironments() {
		d, undeclared = all.Find(name)
	}
	e, err = p.environment(ctx, name, d != nil)
	if err == nil {
		s, err = e.Look(ctx)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case s.Exists(), d != nil:
		return e, s, d, nil
	case slices.Contains(all.Groups, name):
		return nil, nil, nil, undeclared
	case !p.spec.DeclaresEnvironments() && name == release.Default:
		return e, s, d, nil
	}
	return nil, nil, nil, p.noEnvironment(ctx, name, all)
}

// noEnvironment says that there is no environment of a name, and which one may be meant.
func (p *Project) noEnvironment(ctx context.Context, name string, declared *spec.Environments) error {
	err := diag.New(diag.Usage, "no environment named %q", name).Hinted("pipe env lists the environments")
	// A store that refuses to list gives no proposal; it does not cause another error.
	var names []string
	if _, o, oerr := p.environments(ctx); oerr == nil {
		names, _ = release.Names(ctx, o)
	}
	for i := range declared.All {
		if e := &declared.All[i]; !e.IsPattern() {
			names = append(names, e.Name)
		}
	}
	if near := yamldoc.Nearest(name, names); near != "" && near != name {
		return err.Hinted("did you mean %s? pipe env lists the environments", near)
	}
	return err
}

// EnvHold keeps deployments away that nobody asked for.
type EnvHold struct {
	By     string    `json:"by,omitempty"`     // who holds it
	At     time.Time `json:"at"`               // since when
	Reason string    `json:"reason,omitempty"` // why
	Until  string    `json:"until"`            // resume: nothing is deployed; next: the releases of Veto are not
	Veto   []string  `json:"veto,omitempty"`   // releases that were rolled away from
}

// holdOf is a hold as answers have it; nil stays nil.
func holdOf(h *release.Hold) *EnvHold {
	if h == nil {
		return nil
	}
	return &EnvHold{By: h.By, At: h.At, Reason: h.Reason, Until: h.Until, Veto: idTexts(h.Veto)}
}

// Holder is the run that deploys to an environment, which it holds meanwhile.
type Holder struct {
	N      uint64    `json:"n"`              // number of the deployment
	Kind   string    `json:"kind"`           // deploy, promote, rollback or destroy
	By     string    `json:"by,omitempty"`   // who started it
	Run    string    `json:"run,omitempty"`  // the CI's run, or host and process
	Since  time.Time `json:"since,omitzero"` // when it began
	TTL    int64     `json:"ttl"`            // seconds without a sign of life after which it counts as dead, but for a grace of 10
	Silent *float64  `json:"silent_seconds"` // since its last sign of life; null: the store does not tell
	Dead   bool      `json:"dead,omitempty"` // the run has died; the next deployment takes over

	nonce string
}

// holderOf is a lease as answers have it; nil when there is none.
func holderOf(s *release.Sight) *Holder {
	l := s.Lease
	if l == nil {
		return nil
	}
	at, _ := time.Parse(time.RFC3339, l.At) // for people; what cannot be read is left out
	h := &Holder{N: l.N, Kind: cmp.Or(s.Doing, release.KindDeploy), By: l.By, Run: l.Run, Since: at, TTL: l.TTL, Dead: s.Dead, nonce: l.Nonce}
	if s.Silent >= 0 {
		seconds := s.Silent.Seconds()
		h.Silent = &seconds
	}
	return h
}

func idTexts(ids []release.ID) (texts []string) {
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return texts
}

// idText is a release's name; "" of none.
func idText(id release.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}
