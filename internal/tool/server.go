package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"time"

	"github.com/pipe-build/pipe/internal/par"
)

const (
	startTimeout = 30 * time.Second
	pollInterval = 10 * time.Millisecond
	startTries   = 5 // another process may take the free port first
)

// Server is a program that serves on a loopback address.
type Server struct {
	Addr string // 127.0.0.1:port

	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when the process has ended
	stop func()
	once sync.Once
}

// Serve starts a server on a free address. command makes the process for one, and answers reports whether the server is
// there: it is asked again until it is. The caller calls Stop.
func Serve(ctx context.Context, command func(addr string) *exec.Cmd, answers func(ctx context.Context, addr string) bool) (*Server, error) {
	var err error
	for range startTries {
		s := &Server{log: &tail{}, done: make(chan struct{})}
		if s.Addr, err = freeAddress(); err != nil {
			return nil, err
		}
		s.cmd = command(s.Addr)
		if err = s.start(ctx, answers); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func (s *Server) start(ctx context.Context, answers func(ctx context.Context, addr string) bool) error {
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.stop = par.Background(ctx, func(context.Context) {
		defer close(s.done)
		_ = s.cmd.Wait() // its end is told by done, its reason by the log
	})
	if err := s.wait(ctx, answers); err != nil {
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
func (s *Server) wait(ctx context.Context, answers func(ctx context.Context, addr string) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("the server does not answer"))
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.done:
			return fmt.Errorf("the server on %s has ended", s.Addr)
		case <-tick.C:
		}
		if answers(ctx, s.Addr) {
			return nil
		}
	}
}

// Stop kills the server and returns when it is gone. It may be called again.
func (s *Server) Stop() { s.once.Do(s.kill) }

func (s *Server) kill() {
	_ = s.cmd.Process.Kill() // an error says that it has ended
	s.stop()
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
