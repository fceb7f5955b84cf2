// Package settings is what a user has set for all projects of a machine.
//
// It lies in the user's configuration directory, where no repository can write: what a project
// says about itself stands in pipe.yaml.
package settings

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/shell"
	"github.com/pipe-build/pipe/internal/yamldoc"
)

// Settings are those of one user. The zero value is the default.
type Settings struct {
	Deploy string // one of the constants below; "" is Ask
}

// What becomes of deploy stages when nothing else is said.
const (
	Ask    = "ask" // on a terminal
	Never  = "never"
	Always = "always"
)

// fileName is the file in Dir.
const fileName = "config.yaml"

// Dir is pipe's directory among the user's settings. A relative one would lie in the
// repository, which must never vouch for itself.
func Dir(environ []string) (string, error) {
	name, below := "HOME", ".config"
	if runtime.GOOS == "windows" {
		name, below = "AppData", ""
	}
	if dir, _ := shell.Getenv(environ, "XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pipe"), nil
	}
	if dir, _ := shell.Getenv(environ, name); filepath.IsAbs(dir) {
		return filepath.Join(dir, below, "pipe"), nil
	}
	return "", diag.New(diag.Usage, "neither XDG_CONFIG_HOME nor %s is an absolute path, so there are no settings", name)
}

// Read reads the settings; no file is the zero value. Unknown keys are faults: a word
// misspelled here might deploy.
func Read(environ []string) (Settings, error) {
	var s Settings
	dir, err := Dir(environ)
	if err != nil {
		return s, nil //nolint:nilerr // without a configuration directory nothing is set
	}
	path := filepath.Join(dir, fileName)
	b, err := atomicfile.Read(path, atomicfile.MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	root, err := yamldoc.Parse(path, b, yamldoc.Options{})
	if root == nil || err != nil {
		return s, err
	}
	if root.Kind != yamldoc.Map && root.Kind != yamldoc.Null {
		return s, diag.New(diag.Usage, "must be a map").At(root.Place(path)).Hinted("write deploy: never")
	}
	var faults diag.List
	for _, p := range root.Pairs {
		words := []string{Ask, Never, Always}
		switch {
		case p.Key != "deploy":
			faults = append(faults, diag.New(diag.Usage, "unknown key %q", p.Key).At(p.At.Place(path)).Hinted("known keys: deploy"))
		case !slices.Contains(words, p.Value.Value):
			faults = append(faults, diag.New(diag.Usage, "deploy: must be ask, never or always").At(p.Value.Place(path)))
		default:
			s.Deploy = p.Value.Value
		}
	}
	return s, faults.OrNil()
}
