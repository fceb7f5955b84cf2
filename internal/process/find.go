package process

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Find returns the path of a program that lies in the PATH of env, which is in the form of
// os.Environ; "" when there is none. Relative entries of the PATH are passed over, and those
// in the directory outside, if that is not empty: they would run what a repository brings along.
func Find(env []string, name, outside string) string {
	path := ""
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		if k == "PATH" || runtime.GOOS == "windows" && strings.EqualFold(k, "PATH") {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) || outside != "" && (within(dir, outside) || within(real(dir), real(outside))) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}

// within reports whether dir is top or lies below it.
func within(dir, top string) bool {
	rel, err := filepath.Rel(top, dir)
	return err == nil && filepath.IsLocal(rel)
}

// real returns the path without symlinks, as far as it can be told.
func real(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}
