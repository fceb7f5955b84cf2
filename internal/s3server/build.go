package s3server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

const program = "github.com/versity/versitygw/cmd/versitygw"

// build returns the path of the server program, which is built once per machine,
// user and version. Processes that come meanwhile wait for the one that builds.
func build(ctx context.Context) (path string, err error) {
	tools, err := toolsDir()
	if err != nil {
		return "", err
	}
	version, err := pinned(tools)
	if err != nil {
		return "", err
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "versitygw-"+version+"-"+runtime.GOOS+"-"+runtime.GOARCH)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	lock, err := atomicfile.Acquire(ctx, path+".lock", atomicfile.Exclusive, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, compile(ctx, tools, path)
}

// compile builds beside path and renames, so that path is a whole program or absent.
func compile(ctx context.Context, tools, path string) error {
	part := path + ".part"
	cmd := exec.CommandContext(ctx, "go", "build", "-C", tools, "-o", part, program)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", program, err, out)
	}
	return os.Rename(part, path)
}

// toolsDir finds the module that pins the development tools, from the working
// directory upward.
func toolsDir() (string, error) {
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

// pinned returns the version of the server that the tools' module requires.
func pinned(tools string) (string, error) {
	b, err := os.ReadFile(filepath.Join(tools, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^\s*github\.com/versity/versitygw (v\S+)`).FindSubmatch(b)
	if m == nil {
		return "", fmt.Errorf("%s/go.mod does not require github.com/versity/versitygw", tools)
	}
	return string(m[1]), nil
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
