package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pipe-build/pipe/internal/action"
	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/image"
	"github.com/pipe-build/pipe/internal/spec"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/event"
)

// Upstream says what names stand for now. It is called from several workers at once, and once in a run
// for each name. Both bound how long they wait.
type Upstream interface {
	// Image returns the digest of an image's manifest, ALGORITHM:HEX. The image has a tag.
	Image(ctx context.Context, n image.Name) (digest string, err error)
	// URL returns etag:"TEXT" or blake3:HEX of what a server has there.
	URL(ctx context.Context, url string) (answer string, err error)
}

// answers are what was asked for, each once in a run, whatever stages ask: they are shared by all passes, so
// that one that is repeated decides about the same versions.
type answers struct {
	sync.Mutex
	by    map[string]func() answer
	taken map[string]bool // what nobody was asked for, and is what it was
}

// answer is what came of a question, or why nothing did.
type answer struct {
	out  []byte
	tail []string // the last lines that a command printed to standard error
	err  error
}

// of returns the answer to a question, and asks if nobody has.
func (a *answers) of(id string, ask func() answer) answer {
	a.Lock()
	if a.by[id] == nil {
		a.by[id] = sync.OnceValue(ask)
	}
	once := a.by[id]
	a.Unlock()
	return once()
}

// asked adds the inputs that have no path. then are those of the time when the stage was last done.
func (r *run) asked(ctx context.Context, st *state, in *gathered, then artifact.Asked) (err error) {
	in.Tools, err = answered(r, st, st.Stage.Tools, then.Tools, func(t artifact.Tool) string { return t.Cmd }, toolUnasked,
		func(t spec.Asked) (artifact.Tool, error) { return r.tool(ctx, st, in, t) })
	if err != nil {
		return err
	}
	name := func(n artifact.Named) string { return n.Name }
	in.Images, err = answered(r, st, st.Stage.Images, then.Images, name, nameUnasked, r.namer(ctx, st, "image", r.image))
	if err == nil {
		in.URLs, err = answered(r, st, st.Stage.URLs, then.URLs, name, nameUnasked, r.namer(ctx, st, "url", r.url))
	}
	return err
}

// lockedAsked returns the stage's inputs that have no path, as the lock has them.
func (st *state) lockedAsked() (then artifact.Asked) {
	if st.locked != nil {
		then = st.locked.Asked
	}
	return then
}

// unasked is what is said where only somebody who runs a stage would ask.
type unasked struct {
	code, note string // of the reason for which a stage waits
	say        string // that something counts as unchanged
}

var (
	toolUnasked = unasked{event.NeedsRun, "pipe repro runs it", "did not run %s: its output counts as unchanged"}
	nameUnasked = unasked{event.NeedsAsking, "pipe repro asks for it", "did not ask for %s: it counts as unchanged"}
)

// answered asks for each of a stage's inputs. One that is not asked for counts as what it was when the stage was
// last done; a stage of which that is not known waits.
func answered[T any](r *run, st *state, all []spec.Asked, then []T, name func(T) string, not unasked, ask func(spec.Asked) (T, error)) (now []T, err error) {
	for _, a := range all {
		t, err := ask(a)
		if errors.Is(err, action.ErrNotAsked) {
			i := slices.IndexFunc(then, func(t T) bool { return name(t) == a.Name })
			if i < 0 {
				return nil, errUnknown{a.Name, not.note, not.code}
			}
			t, err = then[i], nil
			st.Assumed = append(st.Assumed, a.Name)
			r.assumed(not.say, a.Name)
		}
		if err != nil {
			return nil, err
		}
		now = append(now, t)
	}
	return now, nil
}

// assumed says once that something was not asked for.
func (r *run) assumed(say, name string) {
	r.answers.Lock()
	defer r.answers.Unlock()
	if !r.answers.taken[name] {
		r.answers.taken[name] = true
		r.note("", say, name)
	}
}

// namer returns how a stage asks for what names of a kind stand for.
func (r *run) namer(ctx context.Context, st *state, kind string, ask func(context.Context, string) (string, error)) func(spec.Asked) (artifact.Named, error) {
	return func(a spec.Asked) (artifact.Named, error) {
		got := r.answers.of(kind+" "+a.Name, func() answer {
			text, err := ask(ctx, a.Name)
			return answer{out: []byte(text), err: err}
		})
		if got.err == nil || errors.Is(got.err, action.ErrNotAsked) || ctx.Err() != nil {
			return artifact.Named{Name: a.Name, Answer: string(got.out)}, got.err
		}
		why := &diag.Error{Kind: diag.Network, What: got.err.Error()}
		errors.As(got.err, &why)
		return artifact.Named{}, &diag.Error{
			Kind: why.Kind, Place: a.Place, What: fmt.Sprintf("%s: dependency {%s: %s}: %s", st.Stage.Name, kind, a.Name, why.What), Hint: why.Hint, Err: got.err,
		}
	}
}

// image asks for an image, unless its name says which it is.
func (r *run) image(ctx context.Context, name string) (string, error) {
	n, err := image.Parse(name)
	switch {
	case err != nil || n.Digest != "":
		return n.Digest, err
	case r.Upstream == nil:
		return "", action.ErrNotAsked
	}
	return r.Upstream.Image(ctx, n)
}

func (r *run) url(ctx context.Context, url string) (string, error) {
	if r.Upstream == nil {
		return "", action.ErrNotAsked
	}
	return r.Upstream.URL(ctx, url)
}
