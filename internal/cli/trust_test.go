package cli

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// stranger is a server that is on no loopback address, as far as its URL says: 0.0.0.0 leads
// to this machine. It counts connections, not requests: not a byte may get there.
type stranger struct {
	url   string
	came  atomic.Int32
	token atomic.Value // the last one that was sent
}

func newStranger(t *testing.T) *stranger {
	s := &stranger{}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.token.Store(r.Header.Get("X-Amz-Security-Token"))
		w.WriteHeader(http.StatusNotFound)
	}))
	front.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.came.Add(1)
		}
	}
	front.Start()
	t.Cleanup(front.Close)
	s.url = strings.Replace(front.URL, "127.0.0.1", "0.0.0.0", 1)
	credentials(t)
	return s
}

// onStranger is a project that was built and deployed with a directory as its remote; then
// pipe.yaml names the server, and the cache is gone.
func onStranger(t *testing.T, endpoint, more string) *place {
	p := newPlace(t, shop)
	p.run(0, "repro", "--push")
	p.point(endpoint, more)
	if err := os.RemoveAll(filepath.Join(p.dir, ".pipe")); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNoVerbSendsAnythingToAServerThatOnlyPipeYamlNames(t *testing.T) {
	s := newStranger(t)
	p := onStranger(t, s.url, "")
	p.run(0, "hash", "dist")
	hash, _, _ := strings.Cut(p.out, " ")
	for _, c := range []struct {
		code int
		args []string
	}{
		{9, []string{"plan"}},
		{9, []string{"repro", "--dry-run"}},
		{0, []string{"status"}},
		{9, []string{"status", "--exit-code"}},
		{9, []string{"why", "deploy"}},
		{1, []string{"doctor"}},
		{9, []string{"remote", "probe"}},
		{9, []string{"push"}},
		{9, []string{"verify", "--remote"}},
		{9, []string{"verify", "--remote=main"}},
		{0, []string{"find", hash}}, // pipe.lock names it
		{9, []string{"env"}},
		{9, []string{"find", strings.Repeat("0", 64)}},
		{9, []string{"repro"}},
		{9, []string{"repro", "--no-pull"}},
		{9, []string{"repro", "--push"}},
		{0, []string{"repro", "build"}}, // nothing changed, so nobody is asked
		{0, []string{"remote", "list"}},
		{0, []string{"verify"}},
	} {
		p.run(c.code, c.args...)
		if n := s.came.Load(); n > 0 {
			t.Fatalf("pipe %v made %d connections", c.args, n)
		}
		if c.code != 0 && !strings.Contains(p.out+p.err, "run pipe remote trust main") {
			t.Errorf("pipe %v shows no way out: %s%s", c.args, p.out, p.err)
		}
	}
	if err := os.Remove(filepath.Join(p.dir, "dist")); err != nil {
		t.Fatal(err)
	}
	p.run(9, "pull")
	p.write("src", "two")
	p.run(9, "repro", "build")
	p.run(9, "why", "build")
	if n := s.came.Load(); n > 0 {
		t.Errorf("%d connections", n)
	}
}

func TestNothingInTheRepositoryGrantsTrust(t *testing.T) {
	s := newStranger(t)
	p := onStranger(t, s.url, "")
	p.run(0, "remote", "trust", "main")
	list, err := os.ReadFile(filepath.Join(filepath.Dir(p.dir), ".config/pipe/trusted-endpoints.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.run(0, "remote", "trust", "main", "--remove")
	for _, dir := range []string{".pipe", ".config/pipe", "pipe", ".pipe/pipe", ".pipe/config"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o777); err != nil {
			t.Fatal(err)
		}
		p.write(dir+"/trusted-endpoints.json", string(list))
	}
	t.Chdir(p.dir)
	env := p.environ
	for _, more := range []string{"", "XDG_CONFIG_HOME=.", "XDG_CONFIG_HOME=.config", "XDG_CONFIG_HOME=./.config", "XDG_CONFIG_HOME="} {
		p.environ = append(env[:len(env):len(env)], more)
		p.run(9, "plan")
	}
	p.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=."}
	p.run(9, "plan")
	p.run(2, "remote", "trust", "main")
	if n := s.came.Load(); n > 0 {
		t.Errorf("%d connections", n)
	}
}

func TestTrustIsForOneServerOneRemoteAndOneProfile(t *testing.T) {
	s := newStranger(t)
	p := onStranger(t, s.url, "")
	p.run(0, "remote", "list")
	if !strings.Contains(p.out, "on "+s.url+", untrusted") {
		t.Errorf("%q", p.out)
	}
	p.run(0, "remote", "trust", "main")
	if !strings.Contains(p.out, "on "+s.url+", trusted") {
		t.Errorf("%q", p.out)
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(p.dir), ".config/pipe/trusted-endpoints.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	p.run(3, "plan") // the server knows of no deployment
	if s.came.Load() == 0 || s.token.Load() != "precious" {
		t.Fatal("trusted, and not asked")
	}
	s.came.Store(0)
	other := newStranger(t)
	p.point(other.url, "")
	p.run(9, "plan")
	p.point(s.url+"/below", "")
	p.run(9, "plan")
	p.point(s.url, ", profile: production")
	p.run(9, "plan")
	p.write("pipe.yaml", strings.Replace(shop, "remote: ../remote", `remote: {other: {url: "s3://bucket/x", endpoint: "`+s.url+`"}}`, 1))
	p.run(9, "plan")
	p.point(s.url, "")
	p.run(0, "remote", "trust", "main", "--remove")
	p.run(9, "plan")
	if s.came.Load()+other.came.Load() > 0 {
		t.Error("what is not trusted was asked")
	}
	p.run(2, "remote", "trust", "nobody")
	p.write("pipe.yaml", shop)
	p.run(0, "remote", "trust", "default")
	if !strings.Contains(p.out, "needs no trust") {
		t.Errorf("%q", p.out)
	}
}

func TestInCITheVariableNamesTheServer(t *testing.T) {
	s := newStranger(t)
	p := onStranger(t, s.url, "")
	env := p.environ
	for v, code := range map[string]int{
		s.url: 3, s.url + "/": 3, strings.ToUpper(s.url): 3, "": 9, s.url + "1": 9, s.url[:len(s.url)-1]: 9, s.url + "/x": 9,
		"https" + strings.TrimPrefix(s.url, "http"): 9, s.url + " " + s.url: 9, "*": 9, "true": 9,
	} {
		p.environ = append(env[:len(env):len(env)], "PIPE_TRUST_ENDPOINT="+v)
		s.came.Store(0)
		p.run(code, "plan")
		if asked := s.came.Load() > 0; asked != (code == 3) {
			t.Errorf("PIPE_TRUST_ENDPOINT=%s: asked %t", v, asked)
		}
	}
	p.environ = append(env[:len(env):len(env)], "AWS_ENDPOINT_URL_S3="+s.url) // then not only pipe.yaml names it
	p.run(3, "plan")
}

func TestADamagedListOfTrustedServersTrustsNobody(t *testing.T) {
	s := newStranger(t)
	p := onStranger(t, s.url, "")
	p.run(0, "remote", "trust", "main")
	for text, code := range map[string]int{"": 7, "{}": 7, "x": 7, `{"endpoints":[],"schema":2}`: 9, "{\"endpoints\":[],\"schema\":1}\n": 9} {
		p.write("../.config/pipe/trusted-endpoints.json", text)
		p.run(code, "plan")
	}
	if n := s.came.Load(); n > 0 {
		t.Errorf("%d connections", n)
	}
}
