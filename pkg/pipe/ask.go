package pipe

import (
	"context"
	"sync"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/engine"
	"github.com/pipe-build/pipe/internal/local"
	"github.com/pipe-build/pipe/internal/lookup"
	"github.com/pipe-build/pipe/internal/statindex"
	"github.com/pipe-build/pipe/internal/worktree"
	"github.com/pipe-build/pipe/pkg/digest"
)

// asking says which commands among the deps, {cmd: ...}, a verb runs. Only repro asks for images and URLs, as whoever
// looks at a project tells no server of it.
type asking uint8

const (
	// askKnown runs those that repro has run in this workspace before. Whoever only looks at a
	// repository that came from elsewhere runs nothing of it.
	askKnown asking = iota
	askNone         // none: status is quick, and changes nothing
	askAll          // repro
)

// asker returns how the engine has commands run. h is nil when the workspace is not locked.
func (p *Project) asker(files *local.Workspace, which asking, h *local.Hold) func(context.Context, action.Question) ([]byte, error) {
	var mu sync.Mutex // the memory is a file that is read and written again
	return func(ctx context.Context, q action.Question) ([]byte, error) {
		key, memory := p.toolKey(q), used{p, usedTools}
		mu.Lock()
		if which == askAll {
			memory.Use(key)
		}
		run := which == askAll || which == askKnown && memory.Used(key)
		mu.Unlock()
		if !run {
			return nil, action.ErrNotAsked
		}
		return files.Ask(ctx, h, q)
	}
}

// upstreamOf returns who says what images and URLs stand for; nil: nobody is asked.
func upstreamOf(which asking) engine.Upstream {
	if which != askAll {
		return nil
	}
	return lookup.New("pipe/" + Build().Version)
}

// toolKey names a command in the memory of those that ran here. The directory's number is in it:
// an archive that brings a .pipe along cannot know it.
func (p *Project) toolKey(q action.Question) string {
	f := digest.NewFrame("pipe tool 1")
	f.String(q.Cmd)
	f.String(q.Shell)
	f.String(string(q.Wdir))
	f.String(p.root)
	at, _, _ := statindex.Of(p.path(worktree.Dir)) // where there is none, nothing is remembered
	f.Uint(at.Dev)
	f.Uint(at.Ino)
	return digest.Digest(f.Sum()).Hex()
}
