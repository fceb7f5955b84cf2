package gitlog_test

import (
	"encoding/base64"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/gitlog"
)

// forge serves the bare repositories beside it over HTTP, to reader and writer, whose password is
// "secret"; reader may not push.
type forge struct {
	url string
	mu  sync.Mutex
	log []string // of requests: method, path and query
}

func (s *sandbox) forge(t *testing.T) *forge {
	t.Helper()
	s.git("config", "http.receivepack", "true")
	exec, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path:       filepath.Join(strings.TrimSpace(string(exec)), "git-http-backend"),
		Env:        append([]string{"GIT_PROJECT_ROOT=" + s.tmp, "GIT_HTTP_EXPORT_ALL=1"}, s.env...),
		InheritEnv: []string{"PATH"},
	}
	f := &forge{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.log = append(f.log, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
		f.mu.Unlock()
		name, password, ok := r.BasicAuth()
		switch {
		case !ok || password != "secret":
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case name != "writer" && strings.Contains(r.URL.String(), "git-receive-pack"):
			http.Error(w, "Permission to x.git denied to "+name+".", http.StatusForbidden)
		default:
			backend.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	f.url = server.URL + "/" + filepath.Base(s.dir)
	return f
}

// TestPublishUsesTheCredentialsThatGitHas has the ways in which CI gives them to git.
func TestPublishUsesTheCredentialsThatGitHas(t *testing.T) {
	header := "AUTHORIZATION: basic " + base64.StdEncoding.EncodeToString([]byte("writer:secret"))
	for name, set := range map[string]func(c *sandbox, f *forge){
		"header": func(c *sandbox, f *forge) { c.git("config", "http."+f.url+"/.extraheader", header) },
		"included header": func(c *sandbox, f *forge) {
			c.git("config", "-f", "../credentials", "http."+f.url+"/.extraheader", header)
			c.git("config", "includeIf.gitdir:"+c.dir+"/.git.path", filepath.Join(c.tmp, "credentials"))
		},
		"helper": func(c *sandbox, _ *forge) {
			c.git("config", "credential.helper", "!f() { echo username=writer; echo password=secret; }; f")
		},
		"in the URL": func(c *sandbox, f *forge) {
			c.git("remote", "set-url", "origin", strings.Replace(f.url, "://", "://writer:secret@", 1))
		},
		"insteadOf": func(c *sandbox, f *forge) {
			c.git("config", "url."+strings.Replace(f.url, "://", "://writer:secret@", 1)+".insteadOf", f.url)
		},
		"another URL to push to": func(c *sandbox, f *forge) {
			c.git("remote", "set-url", "origin", strings.Replace(f.url, "://", "://reader:secret@", 1))
			c.git("remote", "set-url", "--push", "origin", strings.Replace(f.url, "://", "://writer:secret@", 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			up := upstream(t, "sha1")
			f := up.forge(t)
			c := up.clone("clone", "--depth=1")
			c.git("remote", "set-url", "origin", f.url)
			set(c, f)
			c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
			// Behind, and in a shallow clone: history has to be asked for.
			up.advance("other/y", "more")
			c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("three\n")})
		})
	}
}

func TestPublishSaysThatItMayNot(t *testing.T) {
	up := upstream(t, "sha1")
	f := up.forge(t)
	c := up.clone("clone")
	for user, want := range map[string]string{
		"":              "could not read Username",
		"reader:secret": "403",
		"writer:wrong":  "Authentication failed",
	} {
		url := f.url
		if user != "" {
			url = strings.Replace(url, "://", "://"+user+"@", 1)
		}
		c.git("remote", "set-url", "origin", url)
		done := c.publish(gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
		if done.Refused == nil || done.Refused.Cause != gitlog.Forbidden || !strings.Contains(done.Refused.Text, want) ||
			strings.Contains(done.Refused.Text, "secret") || strings.Contains(done.Refused.Text, "wrong") {
			t.Errorf("%s: %+v", user, done.Refused)
		}
	}
}

// TestPublishMakesFewRequests counts them where HEAD is the tip.
func TestPublishMakesFewRequests(t *testing.T) {
	up := upstream(t, "sha1")
	f := up.forge(t)
	c := up.clone("clone", "--depth=1")
	c.git("remote", "set-url", "origin", strings.Replace(f.url, "://", "://writer:secret@", 1))
	services := func() (asked []string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.log {
			if _, service, ok := strings.Cut(r, "service="); ok && strings.HasPrefix(r, "GET") {
				asked = append(asked, service)
			}
		}
		f.log = nil
		return asked
	}
	c.publish(gitlog.Publication{Path: "app/pipe.lock", File: func(tip []byte) ([]byte, error) { return tip, nil }})
	// Git asks once more, with the password, when it was told to.
	if got := strings.Join(services(), " "); got != "git-upload-pack git-upload-pack" {
		t.Errorf("nothing to push: %s", got)
	}
	c.pushed(up, gitlog.Publication{Path: "app/pipe.lock", File: add("two\n")})
	if got := strings.Join(services(), " "); got != "git-upload-pack git-upload-pack git-receive-pack git-receive-pack" {
		t.Errorf("a push: %s", got)
	}
}
