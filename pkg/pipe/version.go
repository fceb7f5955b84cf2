package pipe

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
)

// BuildInfo says which pipe this is.
type BuildInfo struct {
	Version  string `json:"version"`            // of the module, or the next one with "-dev" when it was built from a checkout
	Commit   string `json:"commit,omitempty"`   // of pipe's own repository, where the Go command knew it
	Modified bool   `json:"modified,omitempty"` // the checkout differed from Commit
	Go       string `json:"go"`                 // the Go version
	Platform string `json:"platform"`           // operating system and architecture
}

// development is the version of what is built from a checkout.
const development = "0.1.0-dev"

// madeUp matches what the Go command calls a commit between two versions. No release has such
// a name.
var madeUp = regexp.MustCompile(`-(0\.)?[0-9]{14}-[0-9a-f]{12}`)

// Build returns what the Go command wrote into the binary: no flag of a build can
// forget it, and go install of a version gives that version.
func Build() BuildInfo {
	b := BuildInfo{Version: development, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if v := strings.TrimPrefix(info.Main.Version, "v"); v != "" && v != "(devel)" && !madeUp.MatchString(v) {
		b.Version = v
	}
	return b
}
