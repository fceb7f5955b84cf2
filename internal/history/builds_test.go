package history_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/history"
	"github.com/pipe-build/pipe/pkg/digest"
	"github.com/pipe-build/pipe/pkg/lockfile"
)

func TestBuildsAreThoseOfEveryLock(t *testing.T) {
	r := newRepo(t)
	one := r.commit(lock("one").Encode())
	r.commit([]byte("no lock"))
	other := lockfile.Stage{Name: "other", Key: digest.Key(of("other")), Cmd: of("cmd")}
	two := r.commit(lock("two", other).Encode())
	again := r.commit(lock("one", other).Encode())
	now := lock("three")
	raised := now.Stages[0]
	raised.Generation = 2
	now.Set(raised)

	var bad []error
	ask := func(want func(*lockfile.Stage) bool) string {
		t.Helper()
		bad = nil
		builds, err := history.Builds(t.Context(), r.open(), "pipe.lock", now, want, func(err error) { bad = append(bad, err) })
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, b := range builds {
			lines = append(lines, fmt.Sprintf("%s %s %v %s", b.Name, b.ID().Short(), b.Now, hashes(b.Commit)))
		}
		return strings.Join(lines, "\n")
	}
	short := func(content string) string { return digest.Key(of("key of " + content)).Short() }
	want := fmt.Sprintf("app %s.2 true []\napp %s false [%s %s]\nother %s false [%s %s]\napp %s false [%s]",
		short("three"), short("one"), again, one, other.Key.Short(), again, two, short("two"), two)
	if got := ask(func(*lockfile.Stage) bool { return true }); got != want || len(bad) != 1 {
		t.Errorf("%s\nwant\n%s\n%v", got, want, bad)
	}
	if got := ask(func(s *lockfile.Stage) bool { return s.Name == "other" }); got != strings.Split(want, "\n")[2] {
		t.Errorf("%s", got)
	}
	builds, err := history.Builds(t.Context(), nil, "pipe.lock", now, func(*lockfile.Stage) bool { return true }, nil)
	if err != nil || len(builds) != 1 || !builds[0].Now {
		t.Errorf("without git: %v, %v", builds, err)
	}
}
