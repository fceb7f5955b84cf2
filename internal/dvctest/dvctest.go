// Package dvctest runs the real DVC for tests, in the version that requirements.txt pins.
package dvctest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/pipe-build/pipe/internal/tool"
)

//go:embed requirements.txt driver.py
var files embed.FS

// Server is a Python process that has imported DVC and forks for each command: a start of dvc costs a
// second or two, a fork a few milliseconds.
type Server struct {
	dir string
	cmd *exec.Cmd
}

// Start installs DVC, if this machine does not have it yet, and starts a server that keeps its files, among
// them the settings and the caches of DVC's user, below dir. The caller calls Stop.
func Start(ctx context.Context, dir string, env ...string) (*Server, error) {
	python, err := Python(ctx)
	if err != nil {
		return nil, fmt.Errorf("the tests against the real DVC need it, from PyPI, and Python 3.11 or later with venv (Debian: apt-get install python3-venv): %w", err)
	}
	driver, err := files.ReadFile("driver.py")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, cmd: exec.Command(python, "-c", string(driver), filepath.Join(dir, "dvc.socket"))}
	s.cmd.Env = append(os.Environ(), "SHELL=/bin/sh", "DVC_NO_ANALYTICS=1", "DVC_GLOBAL_CONFIG_DIR="+dir, "DVC_SYSTEM_CONFIG_DIR="+dir, "DVC_SITE_CACHE_DIR="+filepath.Join(dir, "site"))
	s.cmd.Env = append(s.cmd.Env, env...)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[core]\n    check_update = false\n"), 0o600); err != nil {
		return nil, err
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		s.Stop()
		return nil, fmt.Errorf("the server of DVC's commands has not started: %w", err)
	}
	return s, nil
}

// Stop ends the server.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill() // an error says that it has ended
	_ = s.cmd.Wait()         // and so does this one
}

// Result is what a command of DVC has printed, to stdout and stderr, and its exit code.
type Result struct {
	Output string
	Code   int
}

// Run runs a command of DVC in a directory. An error means that it did not come to its end; a command
// that fails is none.
func (s *Server) Run(ctx context.Context, dir string, args ...string) (Result, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(s.dir, "dvc.socket"))
	if err != nil {
		return Result{}, err
	}
	defer conn.Close()
	// Ends the read below when the context ends.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := json.NewEncoder(conn).Encode(map[string]any{"dir": dir, "args": args}); err != nil {
		return Result{}, err
	}
	out, err := io.ReadAll(conn)
	if err != nil {
		return Result{}, fmt.Errorf("dvc %q: %w: %s", args, err, out)
	}
	end := regexp.MustCompile(`\n(\d+)\n$`).FindSubmatchIndex(out)
	if end == nil {
		return Result{}, fmt.Errorf("dvc %q has died: %s", args, out)
	}
	code, err := strconv.Atoi(string(out[end[2]:end[3]]))
	return Result{Output: string(out[:end[0]]), Code: code}, err
}

// Python returns the path of a Python that has DVC and what it needs, installed once per machine, user,
// version of Python and content of requirements.txt.
func Python(ctx context.Context) (string, error) {
	system, err := exec.LookPath("python3")
	if err != nil {
		return "", err
	}
	requirements, err := files.ReadFile("requirements.txt")
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(ctx, system, "-c", "import sys; print(sys.executable, sys.version)").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", system, err)
	}
	name := fmt.Sprintf("dvc-%x", sha256.Sum256(append(version, requirements...)))[:20]
	at, err := tool.Keep(ctx, name, func(part string) error { return install(ctx, system, part, requirements) })
	return filepath.Join(at, "bin", "python"), err
}

// install makes a virtual environment. Its Python can be moved, the scripts beside it cannot.
func install(ctx context.Context, system, to string, requirements []byte) error {
	if err := run(ctx, nil, system, "-m", "venv", to); err != nil {
		return err
	}
	list := filepath.Join(to, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return err
	}
	// What builds a package that has no wheel comes from the list as well.
	pinned := []string{"PIP_CONSTRAINT=" + list, "PIP_BUILD_CONSTRAINT=" + list}
	return run(ctx, pinned, filepath.Join(to, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", list)
}

func run(ctx context.Context, env []string, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	return nil
}
