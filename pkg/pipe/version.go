package pipe

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
)

// BuildInfo says which pipe this is.
type BuildInfo struct {
	Version  string `json:"version"`            // of the module, or the next one with "-dev" when it was built from a commit
	Commit   string `json:"commit,omitempty"`   // of pipe's own repository, where the Go command knew it; its first 12 digits after go install of a commit
	Modified bool   `json:"modified,omitempty"` // the checkout differed from Commit
	Go       string `json:"go"`                 // the Go version
	Platform string `json:"platform"`           // operating system and architecture
}

// development is the version of what is built from a commit that has no tag.
const development = "0.1.0-dev"

// madeUp matches what the Go command calls a commit between two versions, see
// https://go.dev/ref/mod#pseudo-versions. No release has such a name.
var madeUp = regexp.MustCompile(`[-.][0-9]{14}-([0-9a-f]{12})`)

// Build returns what the Go command wrote into the binary: no flag of a build can
// forget it, and go install of a version gives that version.
func Build() BuildInfo {
	b := BuildInfo{Version: development, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.take(info)
	}
	return b
}

// take reads the version and the commit. A build in a checkout knows the commit from git, and
// the version from its tag; go install of a module knows the version, and where that is made
// up, the commit from it.
func (b *BuildInfo) take(info *debug.BuildInfo) {
	version := strings.TrimPrefix(info.Main.Version, "v")
	version, dirty := strings.CutSuffix(version, "+dirty")
	b.Modified = dirty
	if m := madeUp.FindStringSubmatch(version); m != nil {
		b.Commit = m[1]
	} else if version != "" && version != "(devel)" {
		b.Version = version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
}
