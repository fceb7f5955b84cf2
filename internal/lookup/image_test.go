package lookup

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/image"
	"github.com/pipe-build/pipe/internal/registry"
)

// named returns the name of an image on a server.
func named(t *testing.T, server, rest string) image.Name {
	t.Helper()
	n, err := image.Parse(strings.TrimPrefix(server, "http://") + rest)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// login gives docker a configuration with a text; without one, there is none.
func login(t *testing.T, config string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if config != "" {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

const manifestText = `{"schemaVersion":2}`

var manifestDigest = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifestText)))

// manifestAt answers as a registry does.
func manifestAt(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	w.Header().Set("Docker-Content-Digest", manifestDigest)
	if r.Method == http.MethodGet {
		fmt.Fprint(w, manifestText)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(manifestText)))
}

func TestARegistrySaysWhichImageATagIs(t *testing.T) {
	login(t, "")
	r := registry.Start(t, registry.Options{})
	for _, text := range []string{"one", "two"} {
		want, err := r.Push(t.Context(), "o/i", "1.0", text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := impatient(0).Image(t.Context(), named(t, r.Host, "/o/i:1.0")); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for rest, kind := range map[string]diag.Kind{"/o/i": diag.NotFound, "/o/other:1.0": diag.NotFound} {
		if got, err := impatient(0).Image(t.Context(), named(t, r.Host, rest)); got != "" || !diag.Is(err, kind) || !strings.Contains(err.Error(), r.Host+" has no o/") {
			t.Errorf("%s: %s, %v", rest, got, err)
		}
	}
}

func TestAPrivateRegistryIsAskedWithDockersCredentials(t *testing.T) {
	r := registry.Start(t, registry.Options{Private: true})
	want, err := r.Push(t.Context(), "i", "1", "text")
	if err != nil {
		t.Fatal(err)
	}
	n := named(t, r.Host, "/i:1")
	const auths = `{"auths": {%q: {"auth": %q}}}`
	login(t, fmt.Sprintf(auths, r.Host, basic(registry.User, registry.Password)))
	if got, err := impatient(0).Image(t.Context(), n); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	for name, config := range map[string]string{
		"none": "", "a wrong password": fmt.Sprintf(auths, r.Host, basic(registry.User, "wrong")), "another host's": fmt.Sprintf(auths, "ghcr.io", basic(registry.User, registry.Password)),
	} {
		login(t, config)
		got, err := impatient(0).Image(t.Context(), n)
		if got != "" || !diag.Is(err, diag.Auth) || err.Error() != r.Host+" denies access to i:1, or has no such image" || !strings.Contains(diag.All(err)[0].Hint, "docker login "+r.Host) || !strings.Contains(diag.All(err)[0].Hint, "@sha256:") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if runtime.GOOS == "windows" {
		return // a helper is a script here
	}
	bin := t.TempDir()
	script := "#!/bin/sh\nread host\ntest \"$1 $host\" = \"get " + r.Host + "\" && echo '{\"Username\": \"" + registry.User + "\", \"Secret\": \"" + registry.Password + "\"}'\n"
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-mine"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	for _, config := range []string{`{"credsStore": "mine"}`, fmt.Sprintf(`{"credHelpers": {%q: "mine"}}`, r.Host)} {
		login(t, config)
		if got, err := impatient(0).Image(t.Context(), n); err != nil || got != want {
			t.Errorf("%s: %s, %v", config, got, err)
		}
	}
	for config, text := range map[string]string{`{"credsStore": "absent"}`: "docker-credential-absent", "{": "read docker's credentials"} {
		login(t, config)
		if _, err := impatient(0).Image(t.Context(), n); !diag.Is(err, diag.Auth) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// As at Docker Hub: everybody gets a token, and asks with it.
func TestATokenIsFetchedWhereTheRegistryDemandsOne(t *testing.T) {
	for _, user := range []string{"", "ann"} {
		login(t, "")
		var server string
		var asked *seen
		server, asked = serve(t, func(w http.ResponseWriter, r *http.Request) {
			name, _, _ := r.BasicAuth()
			switch {
			case r.URL.Path == "/token" && r.FormValue("scope") == "repository:o/i:pull" && r.FormValue("service") == "s" && name == user:
				fmt.Fprint(w, `{"token": "t0ken"}`)
			case r.Header.Get("Authorization") == "Bearer t0ken" && r.URL.Path == "/v2/o/i/manifests/latest":
				manifestAt(w, r)
			default:
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s",scope="repository:o/i:pull"`, server))
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		if user != "" {
			login(t, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, strings.TrimPrefix(server, "http://"), basic(user, "p")))
		}
		if got, err := impatient(0).Image(t.Context(), named(t, server, "/o/i")); err != nil || got != manifestDigest {
			t.Errorf("%s: %s, %v: %s", user, got, err, asked)
		}
	}
}

func TestAManifestIsHashedWhereHEADDoesNotSayWhichItIs(t *testing.T) {
	login(t, "")
	for name, f := range map[string]http.HandlerFunc{
		"no digest": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
			fmt.Fprint(w, manifestText)
		},
		"no HEAD": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			manifestAt(w, r)
		},
	} {
		at, asked := serve(t, f)
		if got, err := impatient(0).Image(t.Context(), named(t, at, "/i:1")); err != nil || got != manifestDigest || asked.String() != "HEAD /v2/i/manifests/1 GET /v2/i/manifests/1" {
			t.Errorf("%s: %s, %v: %s", name, got, err, asked)
		}
	}
}

func TestEachFormOfAManifestIsAsked(t *testing.T) {
	login(t, "")
	at, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for _, kind := range []string{"docker.distribution.manifest.v2", "docker.distribution.manifest.list.v2", "oci.image.manifest.v1", "oci.image.index.v1"} {
			if !strings.Contains(r.Header.Get("Accept"), "application/vnd."+kind+"+json") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
		}
		manifestAt(w, r)
	})
	if got, err := impatient(0).Image(t.Context(), named(t, at, "/i:1")); err != nil || got != manifestDigest {
		t.Errorf("%s, %v", got, err)
	}
}

func TestARegistryThatDoesNotAnswerIsAnErrorThatSaysHowToDoWithout(t *testing.T) {
	login(t, "")
	busy, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	forbidden, asked := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	silent, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	nonsense, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	for name, c := range map[string]struct {
		at, text string
		kind     diag.Kind
	}{
		"busy":      {busy, "answered 429 Too Many Requests", diag.Network},
		"forbidden": {forbidden, "denies access", diag.Auth},
		"silent":    {silent, "it did not answer within", diag.Network},
		"nonsense":  {nonsense, "it answered with text/html, not with a manifest", diag.Network},
		"absent":    {"does-not-exist.invalid", "no such host", diag.Network},
	} {
		c2 := impatient(time.Second)
		got, err := c2.Image(t.Context(), named(t, c.at, "/i:1"))
		if got != "" || !diag.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) || !strings.Contains(diag.All(err)[0].Hint, "NAME@sha256:DIGEST") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if strings.Contains(asked.String(), "GET") {
		t.Errorf("asked again by GET, which counts as a download: %s", asked)
	}
}

// Only a registry on this machine may be asked in the clear: its answer and the credentials could be seen elsewhere.
func TestOtherRegistriesAreAskedOverTLSAlone(t *testing.T) {
	login(t, "")
	at, asked := serve(t, manifestAt)
	n := named(t, at, "/i:1")
	c := impatient(0)
	c.base.DialContext = nil // whatever the name is, it leads here
	c.base.Proxy = nil
	n.Host = strings.Replace(n.Host, "127.0.0.1", "0.0.0.0", 1)
	if _, err := c.Image(t.Context(), n); !errors.Is(err, http.ErrSchemeMismatch) || asked.String() != "" {
		t.Errorf("%v, asked %s", err, asked)
	}
}
