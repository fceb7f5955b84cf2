package pipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/store/s3"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/internal/yamldoc"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/event"
)

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
	Name     string `json:"name"`               // in pipe.yaml
	URL      string `json:"url"`                // s3://bucket/prefix, or a directory
	Endpoint string `json:"endpoint,omitempty"` // URL of an S3-compatible server
	Region   string `json:"region,omitempty"`   // of the bucket
	Default  bool   `json:"default,omitempty"`  // the one that is used unless another is named
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

// AddRemote names one more remote in pipe.yaml, and the project when it has no
// name yet; the file's other lines stay as they are. It fails where the file's form
// leaves no place for a line.
func (p *Project) AddRemote(ctx context.Context, r RemoteInfo) error {
	for _, old := range p.spec.Remotes {
		if old.Name == r.Name {
			return diag.New(diag.Usage, "the remote %q is there already: %s", r.Name, old.URL).At(old.Place).Hinted("pipe remote list")
		}
	}
	path := p.path(spec.FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	value := yamldoc.Quote(r.URL)
	if r.Endpoint != "" || r.Region != "" {
		value = "{url: " + value
		if r.Endpoint != "" {
			value += ", endpoint: " + yamldoc.Quote(r.Endpoint)
		}
		if r.Region != "" {
			value += ", region: " + yamldoc.Quote(r.Region)
		}
		value += "}"
	}
	line := fmt.Sprintf("  %s: %s", yamldoc.Quote(r.Name), value)
	next, err := p.withRemote(string(data), line)
	if err != nil {
		return err
	}
	changed, err := spec.Parse(spec.FileName, []byte(next))
	if err != nil {
		return diag.New(diag.Usage, "pipe.yaml would not be right any more: %w", err).At(spec.FileName).
			Hinted("write it by hand, below remote: %s", strings.TrimSpace(line))
	}
	if len(changed.Remotes) != len(p.spec.Remotes)+1 {
		return byHand(line)
	}
	if p.spec.Name == "" {
		if next, err = withName(next, p.proposedName(ctx)); err != nil {
			return err
		}
	}
	return atomicfile.Write(path, []byte(next), 0o666, "")
}

func byHand(line string) error {
	return diag.New(diag.Usage, "the form of remote: in pipe.yaml leaves no place for one more line").At(spec.FileName).
		Hinted("write it by hand: %s", strings.TrimSpace(line))
}

// withRemote returns the text with one more line below remote:.
func (p *Project) withRemote(text, line string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		rest, ok := strings.CutPrefix(l, "remote:")
		if !ok {
			continue
		}
		value, _, _ := strings.Cut(rest, " #")
		value = strings.TrimSpace(value)
		switch {
		case value == "":
			// The first remote is the default, so the new one goes behind the last.
			end := i + 1
			for end < len(lines) && (strings.HasPrefix(lines[end], " ") || strings.TrimSpace(lines[end]) == "") {
				end++
			}
			for end > i+1 && strings.TrimSpace(lines[end-1]) == "" {
				end--
			}
			return strings.Join(lines[:end], "") + line + "\n" + strings.Join(lines[end:], ""), nil
		case strings.HasPrefix(value, "{"):
			return "", byHand(line)
		}
		lines[i] = "remote:\n  default: " + value + "\n" + line + "\n"
		return strings.Join(lines, ""), nil
	}
	return "remote:\n" + line + "\n\n" + text, nil
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
	if want == "" {
		if len(all) == 0 {
			return nil, nil
		}
		return &all[0], nil
	}
	for i := range all {
		if all[i].Name == want {
			return &all[i], nil
		}
	}
	if strings.HasPrefix(want, "s3://") {
		return &spec.Remote{Name: "given", URL: want}, nil
	}
	if strings.Contains(want, "://") {
		return nil, diag.New(diag.Usage, "%q is no remote: s3://BUCKET/PREFIX, or a directory", want).Hinted("pipe remote list")
	}
	if strings.ContainsAny(want, `/\`) || filepath.IsAbs(want) {
		return &spec.Remote{Name: "given", URL: p.here(want)}, nil
	}
	return nil, diag.New(diag.Usage, "no remote is called %q", want).At(spec.FileName).Hinted("pipe remote list")
}

// open the remote once; nil when the project has none. No network.
func (p *Project) openRemote(ctx context.Context) (store.Remote, error) {
	if p.remote != nil {
		return p.remote, nil
	}
	r, err := p.chosen()
	if err != nil || r == nil {
		return nil, err
	}
	p.remote, err = p.connect(ctx, r)
	return p.remote, err
}

func (p *Project) connect(ctx context.Context, r *spec.Remote) (store.Remote, error) {
	if strings.HasPrefix(r.URL, "s3://") {
		remote, err := s3.Open(ctx, s3.Config{
			URL: r.URL, Region: r.Region, Endpoint: r.Endpoint, Profile: r.Profile,
			PathStyle: r.PathStyle, SSE: r.SSE, SSEKey: r.SSEKey,
		})
		if err != nil {
			return nil, err
		}
		return remote, nil
	}
	dir := r.URL
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(p.root, filepath.FromSlash(dir))
	}
	return disk.Open(dir), nil
}

// needRemote is openRemote for verbs that make no sense without one.
func (p *Project) needRemote(ctx context.Context) (store.Remote, error) {
	r, err := p.openRemote(ctx)
	if err == nil && r == nil {
		err = diag.New(diag.Usage, "the project has no remote").At(spec.FileName).
			Hinted("pipe remote add main s3://BUCKET/PREFIX (or a directory)")
	}
	return r, err
}

// workers is how many requests go to a remote at once: what hides latency on S3
// (20 ms away, 64 workers are 2.5 times as fast as 24) only contends on a disk.
func (p *Project) workers() int {
	if _, ok := p.remote.(*disk.Store); ok || p.remote == nil {
		return 2 * runtime.GOMAXPROCS(0)
	}
	return 64
}

// carry returns a carrier between cache and remote for one call of a verb.
func (p *Project) carry(ctx context.Context) (*transfer.Carrier, error) {
	remote, err := p.openRemote(ctx)
	if err != nil {
		return nil, err
	}
	return &transfer.Carrier{
		Cache: p.cache, Remote: remote, Workers: p.workers(),
		Moved: func(where string, n int64) { p.emit(event.Event{Type: event.Moved, Where: where, Bytes: n}) },
	}, nil
}
