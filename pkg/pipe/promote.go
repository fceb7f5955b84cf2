package pipe

import (
	"context"
	"fmt"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/release"
)

// Promote brings an environment to the newest release that another one has verified. It builds
// nothing, and needs pipe.yaml alone.
func (p *Project) Promote(ctx context.Context, from, to string, opt DeployOptions) (*Deployed, error) {
	opt.Envs = []string{to}
	if err := p.knownEnvironment(from); err != nil {
		return nil, err
	}
	targets, err := p.targetsOf(ctx, &opt)
	if err != nil {
		return nil, err
	}
	id, commit, err := p.verifiedIn(ctx, from)
	if err != nil {
		return nil, err
	}
	r := &rollouts{p: p, opt: &opt, targets: targets}
	for _, t := range targets {
		t.source, err = p.stored(ctx, t.env, id, release.Want{Kind: release.KindPromote, From: from, Commit: commit, MayGoBack: true}, &opt)
		if err != nil {
			return nil, err
		}
	}
	return p.rollout(ctx, r)
}

// knownEnvironment refuses the name of an environment that pipe.yaml does not have.
func (p *Project) knownEnvironment(name string) error {
	all, err := p.declared()
	if err == nil {
		_, err = all.Find(name)
	}
	return err
}

// Pinned is what Pin has written.
type Pinned struct {
	Env     string `json:"env"`              // whose pin it is
	File    string `json:"file"`             // in the project
	Release string `json:"release"`          // its name
	Commit  string `json:"commit,omitempty"` // that made it
}

// Pin writes the newest release that an environment has verified into the pin of another one, for a pull request.
func (p *Project) Pin(ctx context.Context, from, to string) (*Pinned, error) {
	all, err := p.declared()
	if err != nil {
		return nil, err
	}
	if err := p.knownEnvironment(from); err != nil {
		return nil, err
	}
	c, err := all.Find(to)
	if err != nil {
		return nil, err
	}
	if c.Pin == "" {
		return nil, diag.New(diag.Usage, "%s has no pin", to).At(c.Place).Hinted("write pin: deploy/%s in its entry", to)
	}
	env, err := p.environment(ctx, from, true)
	if err != nil {
		return nil, err
	}
	s, err := env.Read(ctx)
	if err != nil {
		return nil, err
	}
	id, commit, err := p.verifiedIn(ctx, from)
	if err != nil {
		return nil, err
	}
	x, err := deployed(ctx, env, s, from, id)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%s  # %s #%d", id, from, x.N)
	if commit != "" {
		line += fmt.Sprintf(", %.7s", commit)
	}
	h, err := p.hold(ctx, "promote --pin")
	if err != nil {
		return nil, err
	}
	in, err := p.work.MakeHolder(c.Pin)
	if err == nil {
		err = in.Close()
	}
	if err == nil {
		err = p.write(string(c.Pin), []byte(line+"\n"))
	}
	if rerr := h.Release(); err == nil {
		err = rerr
	}
	return &Pinned{Env: to, File: string(c.Pin), Release: id.String(), Commit: commit}, err
}
