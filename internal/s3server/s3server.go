// Package s3server starts a real S3 server on loopback, for tests.
package s3server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/par"
	"github.com/pipe-build/pipe/internal/tool"
)

const (
	startTimeout = 30 * time.Second
	pollInterval = 10 * time.Millisecond
	startTries   = 5 // another process may take the free port first
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

	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when the process has ended
	stop func()
	once sync.Once
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
	for range startTries {
		if err = s.start(ctx, program, keyFile); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("start the S3 server: %w", err)
}

func (s *Server) start(ctx context.Context, program, keyFile string) error {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	s.Endpoint = "http://" + addr
	args := []string{"--quiet", "--keep-alive", "--port", addr}
	if keyFile != "" {
		s.Endpoint = "https://" + addr
		args = append(args, "--cert", s.CAFile, "--key", keyFile)
	}
	s.log = &tail{}
	s.cmd = exec.Command(program, append(args, "posix", s.Dir)...)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	s.stop = par.Background(ctx, func(context.Context) {
		defer close(s.done)
		_ = s.cmd.Wait() // its end is told by done, its reason by the log
	})
	if err := s.wait(ctx, addr); err != nil {
		s.kill()
		return fmt.Errorf("%w: %s", err, s.log)
	}
	return nil
}

// freeAddress returns a loopback address that nobody listened on a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// wait returns when the server answers.
func (s *Server) wait(ctx context.Context, addr string) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("the server does not answer"))
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.done:
			return fmt.Errorf("the server on %s has ended", addr)
		case <-tick.C:
		}
		if s.answers(ctx, client) {
			return nil
		}
	}
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

// Stop kills the server and returns when it is gone. It may be called again.
func (s *Server) Stop() { s.once.Do(s.kill) }

func (s *Server) kill() {
	_ = s.cmd.Process.Kill() // an error says that it has ended
	s.stop()
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

// tail keeps the last words of the server, for the error that says why it did not start.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
