package pipe

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionIsWhatTheGoCommandWrote(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	git := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: commit}}
	dirty := append(git[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	for _, c := range []struct {
		how, version     string
		settings         []debug.BuildSetting
		want, wantCommit string
		modified         bool
	}{
		{"go install of a release", "v1.2.3", nil, "1.2.3", "", false},
		{"go install of a pre-release", "v1.2.3-rc.1", nil, "1.2.3-rc.1", "", false},
		{"go install before the first release", "v0.0.0-20261130084700-0123456789ab", nil, development, commit[:12], false},
		{"go install of a commit after a release", "v1.2.4-0.20261130084700-0123456789ab", nil, development, commit[:12], false},
		{"go install of a commit after a pre-release", "v1.2.3-rc.1.0.20261130084700-0123456789ab", nil, development, commit[:12], false},
		{"a release's build", "v1.2.3", git, "1.2.3", commit, false},
		{"a build in a changed checkout of a release", "v1.2.3+dirty", dirty, "1.2.3", commit, true},
		{"a build in a checkout", "v0.0.0-20261130084700-0123456789ab", git, development, commit, false},
		{"a build in a changed checkout", "v0.0.0-20261130084700-0123456789ab+dirty", dirty, development, commit, true},
		{"a build with -buildvcs=false", "(devel)", nil, development, "", false},
		{"a test", "", nil, development, "", false},
	} {
		b := BuildInfo{Version: development}
		b.take(&debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings})
		if b.Version != c.want || b.Commit != c.wantCommit || b.Modified != c.modified {
			t.Errorf("%s: %+v", c.how, b)
		}
	}
}
