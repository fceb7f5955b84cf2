package pipe

import (
	"testing"

	"github.com/pipe-build/pipe/internal/ci"
	"github.com/pipe-build/pipe/internal/gitlog"
)

func TestEachRefusedPushSaysWhatToDo(t *testing.T) {
	for _, system := range []ci.System{ci.None, ci.GitHub} {
		c := &ciRun{job: ci.Run{System: system}}
		for _, cause := range []gitlog.Cause{
			gitlog.Protected, gitlog.Forbidden, gitlog.Gone, gitlog.Ahead, gitlog.NoRemote, gitlog.Unreachable, gitlog.Moving, gitlog.Hook, gitlog.Unsigned, gitlog.InProgress,
		} {
			if c.fix(cause, "main") == "" {
				t.Errorf("%q, %s", system, cause)
			}
		}
	}
}
