// Package s3server starts a real S3 server on loopback, for tests.
package s3server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pipe-build/pipe/internal/tool"
)

// Options says what sort of server to start; the zero value is plain http.
type Options struct {
	TLS bool // https with a certificate of the server's own making, in CAFile
}

// Server is a running versitygw that keeps its buckets as directories of Dir.
type Server struct {
	Endpoint  string // http://127.0.0.1:port
	Bucket    string // a bucket that is there from the start
	AccessKey string
	SecretKey string
	Dir       string // an object's bytes are the file Dir/bucket/key
	CAFile    string // the PEM certificate to trust, with Options.TLS

	*tool.Server
}

// Start starts a server that is stopped and removed at the end of the test.
// The server program is built when this machine does not have it yet.
func Start(t testing.TB, opt Options) *Server {
	t.Helper()
	s, err := StartMain(t.Context(), t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// StartMain starts a server below dir, for a TestMain whose tests share it. The
// caller calls Stop.
func StartMain(ctx context.Context, dir string, opt Options) (*Server, error) {
	program, err := tool.Build(ctx, ".", "github.com/versity/versitygw/cmd/versitygw")
	if err != nil {
		return nil, fmt.Errorf("build the S3 server: %w", err)
	}
	s := &Server{Bucket: "test-bucket", AccessKey: "test-access-key", SecretKey: "test-secret-key", Dir: filepath.Join(dir, "buckets")}
	if err := os.MkdirAll(filepath.Join(s.Dir, s.Bucket), 0o755); err != nil {
		return nil, err
	}
	var keyFile string
	if opt.TLS {
		if s.CAFile, keyFile, err = certificate(dir); err != nil {
			return nil, err
		}
	}
	args := []string{"--quiet", "--keep-alive"}
	scheme := "http://"
	if keyFile != "" {
		scheme = "https://"
		args = append(args, "--cert", s.CAFile, "--key", keyFile)
	}
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	s.Server, err = tool.Serve(ctx, func(addr string) *exec.Cmd {
		cmd := exec.Command(program, append(args, "--port", addr, "posix", s.Dir)...)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
		return cmd
	}, func(ctx context.Context, addr string) bool {
		s.Endpoint = scheme + addr
		return s.answers(ctx, client)
	})
	if err != nil {
		return nil, fmt.Errorf("start the S3 server: %w", err)
	}
	return s, nil
}

func (s *Server) answers(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/"+s.Bucket, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.Header.Get("Server") == "VERSITYGW"
}

func (s *Server) client() (*http.Client, error) {
	if s.CAFile == "" {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, nil
	}
	pool, err := loadPool(s.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: tlsConfig(pool)}}, nil
}

// Env returns the variables with which a child process uses this server.
func (s *Server) Env() []string {
	env := []string{
		"AWS_ENDPOINT_URL_S3=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	if s.CAFile != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.CAFile)
	}
	return env
}

// NewBucket makes a bucket: three to 63 lower-case letters, digits and hyphens.
func (s *Server) NewBucket(name string) error {
	return os.Mkdir(filepath.Join(s.Dir, name), 0o755)
}
