//go:build unix

package dvctest

import (
	"strings"
	"testing"
)

// linked is a project of DVC whose files in the workspace are links to those in DVC's cache.
func linked(t *testing.T, kind string) project {
	t.Helper()
	p := begun(t, "testdata/twin")
	p.works("config", "cache.type", kind)
	p.works("config", "cache.dir", "../cache")
	p.works("add", "data/raw.csv", "data/images")
	p.works("repro")
	p.sh("git add -A; git commit -qm First")
	p.ran()
	return p
}

// Who writes to a hard link would change DVC's cache.
func TestHardLinksIntoDVCsCacheAreNotWrittenTo(t *testing.T) {
	t.Parallel()
	p := linked(t, "hardlink")
	p.imports()
	before := p.described(p.at + "/../cache")
	p.sh("echo 4,40 > more; cat data/raw.csv more > new; mv new data/raw.csv; rm more")
	p.pipes("repro", "-f", "-k")
	p.ran()
	if was := changed(before, p.described(p.at+"/../cache")); len(was) > 0 {
		t.Errorf("pipe has changed DVC's cache: %v", was)
	}
}

// A symlink is no output of pipe. What it says to do helps.
func TestSymlinksIntoDVCsCacheAreRefused(t *testing.T) {
	t.Parallel()
	p := linked(t, "symlink")
	before := p.described(p.at + "/../cache")
	const hint = "run dvc config cache.type copy, then dvc checkout --relink"
	if out, code := p.pipe("import", "dvc"); code != 2 || !strings.Contains(out, "is a symlink into DVC's cache") || !strings.Contains(out, hint) {
		t.Errorf("exit code %d, not %q: %s", code, hint, out)
	}
	p.works("config", "cache.type", "copy")
	p.works("checkout", "--relink")
	p.imports()
	p.onlyStampRuns()
	if was := changed(before, p.described(p.at+"/../cache")); len(was) > 0 {
		t.Errorf("pipe has changed DVC's cache: %v", was)
	}
}
