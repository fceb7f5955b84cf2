// Package tool builds the development tools that tests run, in the versions that the modules below internal/tools pin,
// and keeps them for the next tests.
package tool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

// Build returns the path of a program, which is built once per machine, user and version. The module is a directory below internal/tools, "." for
// that one itself.
func Build(ctx context.Context, module, program string) (string, error) {
	tools, err := root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(tools, module)
	version, err := pinned(filepath.Join(dir, "go.mod"), program)
	if err != nil {
		return "", err
	}
	name := path.Base(program) + "-" + version + "-" + runtime.GOOS + "-" + runtime.GOARCH
	return Keep(ctx, name, func(part string) error { return compile(ctx, dir, program, part) })
}

func compile(ctx context.Context, dir, program, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-C", dir, "-o", to, program)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", program, err, out)
	}
	return nil
}

// Keep returns the path of a file or directory with this name that outlives the test. It is made once per
// machine and user, beside its place, and renamed, so that it is there whole or not at all. Processes that
// come meanwhile wait for the one that makes it.
func Keep(ctx context.Context, name string, make func(part string) error) (at string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	at = filepath.Join(cache, name)
	if _, err := os.Stat(at); err == nil {
		return at, nil
	}
	lock, err := atomicfile.Acquire(ctx, at+".lock", atomicfile.Exclusive, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if _, err := os.Stat(at); err == nil {
		return at, nil
	}
	part := at + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := make(part); err != nil {
		return "", err
	}
	return at, os.Rename(part, at)
}

// root finds internal/tools, from the working directory upward.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		tools := filepath.Join(dir, "internal", "tools")
		if _, err := os.Stat(filepath.Join(tools, "go.mod")); err == nil {
			return tools, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no directory above this one has internal/tools/go.mod")
		}
		dir = up
	}
}

// pinned returns the version of the program's module that a go.mod requires.
func pinned(file, program string) (string, error) {
	b, err := atomicfile.Read(file, 1<<20)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) > 1 && strings.HasPrefix(program+"/", f[0]+"/") && strings.HasPrefix(f[1], "v") {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("%s requires no module with %s", file, program)
}

// cacheDir returns a directory of this user's that outlives the test.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err == nil {
		dir := filepath.Join(base, "pipe-test-tools")
		if err = os.MkdirAll(dir, 0o700); err == nil {
			return dir, nil
		}
	}
	dir := filepath.Join(os.TempDir(), "pipe-test-tools-"+strconv.Itoa(os.Getuid()))
	return dir, os.MkdirAll(dir, 0o700)
}
