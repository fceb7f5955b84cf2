package pipe

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/remote"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/event"
)

// Remotes returns the declared remotes, the default first.
func (p *Project) Remotes() ([]RemoteInfo, error) {
	out := []RemoteInfo{}
	for i, r := range p.spec.Remotes {
		trust, err := p.trustIn(r)
		if err != nil {
			return nil, err
		}
		out = append(out, RemoteInfo{
			Name: r.Name, URL: r.URL, Endpoint: r.Endpoint, Region: r.Region, Profile: r.Profile, Trust: trust, Default: i == 0,
		})
	}
	return out, nil
}

// RemoteInfo is a declared remote.
type RemoteInfo struct {
	Name     string `json:"name"`               // in pipe.yaml
	URL      string `json:"url"`                // s3://bucket/prefix, or a directory
	Endpoint string `json:"endpoint,omitempty"` // URL of an S3-compatible server
	Region   string `json:"region,omitempty"`   // of the bucket
	Profile  string `json:"profile,omitempty"`  // whose credentials are used
	Trust    string `json:"trust,omitempty"`    // trusted or untrusted; empty: the server needs no trust
	Default  bool   `json:"default,omitempty"`  // the one that is used unless another is named
}

// trust is what the user said about servers that only pipe.yaml names.
func (p *Project) trust() remote.Trust { return remote.Trust{Environ: p.env} }

// trustIn returns the Trust of a RemoteInfo.
func (p *Project) trustIn(r spec.Remote) (string, error) {
	if remote.Stranger(r) == "" {
		return "", nil
	}
	allowed, err := p.trust().Allows(r)
	if !allowed {
		return "untrusted", err
	}
	return "trusted", err
}

// TrustRemote lets a declared remote have credentials from now on: on this machine, for this
// user, and as long as pipe.yaml names this very server and profile for it.
func (p *Project) TrustRemote(ctx context.Context, name string) (RemoteInfo, error) {
	return p.changeTrust(ctx, name, p.trust().Add)
}

// DistrustRemote takes TrustRemote back.
func (p *Project) DistrustRemote(ctx context.Context, name string) (RemoteInfo, error) {
	return p.changeTrust(ctx, name, p.trust().Remove)
}

func (p *Project) changeTrust(ctx context.Context, name string, change func(context.Context, spec.Remote) error) (RemoteInfo, error) {
	i := slices.IndexFunc(p.spec.Remotes, func(r spec.Remote) bool { return r.Name == name })
	if i < 0 {
		return RemoteInfo{}, diag.New(diag.Usage, "no remote named %q", name).At(spec.FileName).Hinted("pipe remote list")
	}
	if r := p.spec.Remotes[i]; remote.Stranger(r) != "" {
		if err := change(ctx, r); err != nil {
			return RemoteInfo{}, err
		}
	}
	all, err := p.Remotes()
	if err != nil {
		return RemoteInfo{}, err
	}
	return all[i], nil
}

// Probe really writes to the remote, reads back, and tests conditional writes.
func (p *Project) Probe(ctx context.Context) (url string, err error) {
	shared, err := p.needRemote(ctx)
	if err != nil {
		return "", err
	}
	return shared.URL(), remote.Try(ctx, shared)
}

// AddRemote names one more remote in pipe.yaml, and the project when it has no
// name yet; the file's other lines stay as they are. It fails where the file's form
// leaves no place for a line.
func (p *Project) AddRemote(ctx context.Context, r RemoteInfo) (err error) {
	for _, old := range p.spec.Remotes {
		if old.Name == r.Name {
			return diag.New(diag.Usage, "remote %q already exists: %s", r.Name, old.URL).At(old.Place).Hinted("pipe remote list")
		}
	}
	added := spec.Remote{Name: r.Name, URL: r.URL, Endpoint: r.Endpoint, Region: r.Region}
	// Before the URL stands in any hint: it may hold credentials.
	if err := remote.Check(added); err != nil {
		return err
	}
	h, err := p.hold(ctx, "remote add")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	return p.edit(ctx, func(text string) (string, error) {
		next, err := spec.AddRemote(text, added, p.options(p.file))
		if err == nil && p.spec.Name == "" {
			next, err = spec.AddName(next, p.proposedName(ctx), p.options(p.file))
		}
		return next, err
	})
}

// chosen returns the remote that options, environment and pipe.yaml name; nil when there is none.
func (p *Project) chosen() (*spec.Remote, error) {
	want := p.opt.Remote
	if want == "" {
		want, _ = shell.Getenv(p.env, "PIPE_REMOTE")
	}
	var all []spec.Remote
	if p.spec != nil {
		all = p.spec.Remotes
	}
	return remote.Choose(all, want, p.here)
}

// openRemote opens the remote once; nil when the project has none, or goes without it. No network.
func (p *Project) openRemote(ctx context.Context) (store.Remote, error) {
	if p.remote != nil || p.alone {
		return p.remote, nil
	}
	r, err := p.chosen()
	if err != nil || r == nil {
		return nil, err
	}
	p.remote, err = p.openAs(ctx, *r)
	return p.remote, err
}

// openAs opens a remote. No network.
func (p *Project) openAs(ctx context.Context, r spec.Remote) (store.Remote, error) {
	patience, err := p.patience()
	if err != nil {
		return nil, err
	}
	return remote.Open(ctx, r, remote.Options{Root: p.root, Trust: p.trust(), Patience: patience, Memory: used{p, usedRemotes}})
}

// patience is how long a remote may be silent: PIPE_REMOTE_TIMEOUT, such as 2m.
func (p *Project) patience() (store.Patience, error) {
	patience := store.Patience{Say: p.note}
	text, _ := shell.Getenv(p.env, "PIPE_REMOTE_TIMEOUT")
	if text == "" {
		return patience, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return patience, diag.New(diag.Usage, "PIPE_REMOTE_TIMEOUT=%s is not a duration of one second or more", text).
			Hinted("export PIPE_REMOTE_TIMEOUT=2m")
	}
	patience.Limit = d
	return patience, nil
}

// needRemote is openRemote for verbs that make no sense without one.
func (p *Project) needRemote(ctx context.Context) (store.Remote, error) {
	r, err := p.openRemote(ctx)
	if err == nil && r == nil {
		err = diag.New(diag.Usage, "the project has no remote").At(spec.FileName).
			Hinted("run pipe remote add main URL, where URL is %s", remote.Forms())
	}
	return r, err
}

// workers is how many requests go to a remote at once. More of them only contend on a disk.
func (p *Project) workers() int {
	n := 2 * runtime.GOMAXPROCS(0)
	for _, r := range p.stores() {
		if w, ok := store.As[store.Wide](r); ok {
			n = max(n, w.Workers())
		}
	}
	return n
}

// carry returns a carrier between cache and remote for one call of a verb. Options such as
// NoFetch are set on it by the verb, so it is never shared.
func (p *Project) carry(ctx context.Context) (*transfer.Carrier, error) {
	shared, err := p.openRemote(ctx)
	if err != nil {
		return nil, err
	}
	own, err := p.own(ctx, p.spec)
	if err != nil {
		return nil, err
	}
	return &transfer.Carrier{
		Cache: p.cache, Remote: shared, Own: own, Workers: p.workers(),
		Moved: func(where string, n int64) { p.emit(event.Event{Type: event.Moved, Where: where, Bytes: n}) },
		Meter: p.opt.Meter,
	}, nil
}
