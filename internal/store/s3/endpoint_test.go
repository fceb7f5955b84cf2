package s3_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/internal/store/s3"
)

func TestLoopbackAndS3ItselfAreNoStrangers(t *testing.T) {
	for _, endpoint := range []string{
		"", "http://localhost:9000", "http://LocalHost", "https://127.0.0.1", "http://127.8.9.10:1/x", "http://[::1]:9000", "http://[0:0::1]", "http://[::ffff:127.0.0.1]:80",
		"https://s3.amazonaws.com", "https://S3.AmazonAWS.com:443/", "https://s3.eu-central-1.amazonaws.com", "https://s3-us-west-2.amazonaws.com",
		"https://s3.dualstack.eu-central-1.amazonaws.com", "https://s3-fips.us-gov-west-1.amazonaws.com", "https://s3-fips.dualstack.us-east-1.amazonaws.com",
		"https://s3-accelerate.amazonaws.com", "https://s3-accelerate.dualstack.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn", "https://s3.eusc-de-east-1.amazonaws.eu",
		"https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com", "https://vpce-1a2b3c4d-5e6f-us-east-1a.s3.us-east-1.vpce.amazonaws.com",
	} {
		if got := s3.Stranger(spec.Remote{URL: "s3://bucket", Endpoint: endpoint}); got != "" {
			t.Errorf("%s: %s", endpoint, got)
		}
	}
}

func TestAllOtherServersAreStrangers(t *testing.T) {
	for _, endpoint := range []string{
		// Not loopback, though it looks like it or may become it.
		"http://127.0.0.1.evil.com", "http://localhost.evil.com", "http://localhost.", "http://127.1", "http://0x7f.0.0.1", "http://0177.0.0.1", "http://2130706433",
		"http://0.0.0.0:9000", "http://[::]", "http://[::127.0.0.1]", "http://[::1%25lo]", "http://10.0.0.1", "http://evil.com/127.0.0.1", "http://localhostevil", "http://ip6-localhost",
		// Not S3, though it is AWS.
		"https://ec2-1-2-3-4.compute-1.amazonaws.com", "https://abc.execute-api.us-east-1.amazonaws.com", "https://abc.lambda-url.us-east-1.on.aws",
		"https://evil.us-east-1.elb.amazonaws.com", "https://evil.s3.amazonaws.com", "https://s3.amazonaws.com.evil.com", "https://s3.evil.com.amazonaws.com",
		"https://evils3.amazonaws.com", "https://xs3.us-east-1.amazonaws.com", "https://s3.us-east-1.amazonaws.com.", "https://s3-website-us-east-1.amazonaws.com",
		"https://s3amazonaws.com", "https://s3.us-east-1-amazonaws.com", "https://s3xamazonaws.com", "https://amazonaws.com", "https://s3.amazonaws.com:8443",
		"https://vpce-1a2b.vpce-svc-1a2b.us-east-1.vpce.amazonaws.com", "https://vpce-1.s3.evil.vpce.amazonaws.com", "https://evil.com/s3.amazonaws.com",
		"https://s3.us-east-1.evil.amazonaws.com", "https://s3.elb.us-east-1.amazonaws.com", "https://s3.us-east-1.elb.amazonaws.com", "https://s3-object-lambda.us-east-1.amazonaws.com",
		"http://s3.amazonaws.com", "http://s3.eu-central-1.amazonaws.com",
		"https://minio", "https://xn--s3-amazonaws.com", "http://s3.amazonaws.com\uff0eevil.com", "https://[fe80::1%25eth0]:9000", "x", "http://\x00",
	} {
		if got := s3.Stranger(spec.Remote{URL: "s3://bucket", Endpoint: endpoint}); got == "" {
			t.Errorf("%s needs no trust", endpoint)
		}
	}
}

func TestSpellingsOfOneServerAreEqual(t *testing.T) {
	for spelled, want := range map[string]string{
		"https://Minio.Example:443/": "https://minio.example", "HTTP://minio:80": "http://minio", "http://minio:443": "http://minio:443",
		"https://minio:80//": "https://minio:80", "https://minio/A/": "https://minio/A", "https://minio/a%2Fb": "https://minio/a%2Fb", "https://[::2]:443": "https://[::2]",
		"minio:9000": "", "": "", "https://u@minio": "", "https://minio?x": "", "https://minio?": "", "https://minio#x": "", "ftp://minio": "", "https://": "",
		"https://s3.amazonaws.com\\@evil.com": "", "https://evil.com\\s3.amazonaws.com": "", "https://м\u0456nio": "", "https:evil.com": "", "https://a b": "",
	} {
		if got := s3.Server(spelled); got != want {
			t.Errorf("%s: %q, want %q", spelled, got, want)
		}
	}
}

func TestWhatBecomesAHostsNameIsSpelledOut(t *testing.T) {
	for _, r := range []spec.Remote{
		{URL: "s3://bucket:80"},
		{URL: "s3://bück"},
		{URL: "s3://b_x\u202e"},
		{URL: "s3://-b"},
		{URL: "s3://bucket", Region: "x.evil.com/"},
		{URL: "s3://bucket", Region: "evil.com"},
		{URL: "s3://bucket", Region: "eu@evil"},
		{URL: "s3://bucket", Region: "-eu"},
		{URL: "s3://bucket", Region: "eu\n"},
		{URL: "s3://bucket", Endpoint: "https://minio?x"},
		{URL: "s3://bucket", Endpoint: "https://s3.amazonaws.com\\@evil.com"},
	} {
		if err := s3.CheckRemote(r); !diag.Is(err, diag.Usage) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, r := range []spec.Remote{{URL: "s3://b.c-d_E", Region: "RegionOne"}, {URL: "s3://bucket", Region: "auto", Endpoint: "https://minio:9000/a@b"}} {
		if err := s3.CheckRemote(r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestARedirectToAnotherServerIsNotFollowed: the first hop would lose the token, the second
// one would have it again, because each begins with the first request's headers.
func TestARedirectToAnotherServerIsNotFollowed(t *testing.T) {
	for name, v := range map[string]string{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "precious", "AWS_MAX_ATTEMPTS": "1", "HTTP_PROXY": ""} {
		t.Setenv(name, v)
	}
	var mu sync.Mutex
	var seen []string
	log := func(who string, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, who+" "+r.Method+" "+r.Header.Get("X-Amz-Security-Token"))
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log("evil", r)
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	}))
	defer evil.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log("first", r)
		if strings.HasSuffix(r.URL.Path, "/here") {
			http.Redirect(w, r, evil.URL, http.StatusPermanentRedirect)
			return
		}
		http.Redirect(w, r, "/here", http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	s, err := s3.Open(t.Context(), s3.Config{URL: "s3://bucket", Endpoint: first.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, _, err := s.Load(t.Context(), "x"); err == nil {
		t.Error("a redirect to another server was an answer")
	}
	if got := strings.Join(seen, ", "); got != "first GET precious, first GET precious" {
		t.Errorf("asked: %s", got)
	}
}
