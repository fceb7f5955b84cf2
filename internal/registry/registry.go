// Package registry starts a real container registry on loopback, for tests.
package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/tool"
)

// Whom a private registry lets in.
const (
	User     = "ann"
	Password = "pass:word"
	htpasswd = User + ":$2a$04$5Gg0RqFqQZhKt/GaE74yl.bcT9Ryibc7og8CV7YRl9x9hQICQD2qG\n" // bcrypt of Password
)

// Registry is a running github.com/distribution/distribution.
type Registry struct {
	Host string // 127.0.0.1:port

	private bool
	server  *tool.Server
}

// Options says what sort of registry to start; the zero value lets everybody in.
type Options struct {
	Private bool // only User may enter
}

const config = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: %q}
`

// Start starts a registry that is stopped and removed at the end of the test. The program is built when this machine
// does not have it yet.
func Start(t testing.TB, opt Options) *Registry {
	t.Helper()
	r, err := StartMain(t.Context(), t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// Stop ends the registry. It may be called again.
func (r *Registry) Stop() { r.server.Stop() }

// StartMain starts a registry below dir, where there is no test that ends. The caller calls Stop.
func StartMain(ctx context.Context, dir string, opt Options) (*Registry, error) {
	program, err := tool.Build(ctx, "registry", "github.com/distribution/distribution/v3/cmd/registry")
	if err != nil {
		return nil, fmt.Errorf("build the registry: %w", err)
	}
	users, file := filepath.Join(dir, "users"), filepath.Join(dir, "config.yml")
	if err := os.WriteFile(users, []byte(htpasswd), 0o600); err != nil {
		return nil, err
	}
	r := &Registry{private: opt.Private}
	r.server, err = tool.Serve(ctx, func(addr string) *exec.Cmd {
		text := fmt.Sprintf(config, filepath.Join(dir, "data"), addr)
		if opt.Private {
			text += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", users)
		}
		_ = os.WriteFile(file, []byte(text), 0o600) // the registry says so when it cannot read it
		cmd := exec.Command(program, "serve", file)
		cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
		return cmd
	}, func(ctx context.Context, addr string) bool {
		r.Host = addr
		resp, err := r.do(ctx, http.MethodGet, "http://"+addr+"/v2/", "", nil)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	if err != nil {
		return nil, fmt.Errorf("start the registry: %w", err)
	}
	return r, nil
}

const (
	emptyConfig  = "{}"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
)

// Push gives the tag REPOSITORY:TAG an image for two platforms, in which the text stands, and returns the digest of its index.
func (r *Registry) Push(ctx context.Context, repository, tag, text string) (digest string, err error) {
	base := "http://" + r.Host + "/v2/" + repository
	resp, err := r.do(ctx, http.MethodPost, base+"/blobs/uploads/", "", nil)
	if err != nil {
		return "", err
	}
	to, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	to.RawQuery += "&digest=" + url.QueryEscape(sum(emptyConfig))
	if _, err := r.put(ctx, to.String(), "application/octet-stream", emptyConfig); err != nil {
		return "", err
	}
	var parts []string
	for _, arch := range []string{"amd64", "arm64"} {
		manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[],"annotations":{"text":%q}}`,
			manifestType, sum(emptyConfig), len(emptyConfig), text+arch)
		if _, err := r.put(ctx, base+"/manifests/"+sum(manifest), manifestType, manifest); err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":%q}}`, manifestType, sum(manifest), len(manifest), arch))
	}
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, indexType, strings.Join(parts, ","))
	return r.put(ctx, base+"/manifests/"+tag, indexType, index)
}

func sum(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

func (r *Registry) put(ctx context.Context, to, kind, body string) (digest string, err error) {
	resp, err := r.do(ctx, http.MethodPut, to, kind, strings.NewReader(body))
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("PUT %s: %s", to, resp.Status)
	}
	return sum(body), err
}

// do sends a request, and drops the answer's body.
func (r *Registry) do(ctx context.Context, method, to, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if r.private {
		req.SetBasicAuth(User, Password)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err == nil {
		var said bytes.Buffer
		_, err = said.ReadFrom(io.LimitReader(resp.Body, 64<<10))
		_ = resp.Body.Close() // it was read
	}
	return resp, err
}
