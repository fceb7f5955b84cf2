package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Missing is an output whose bytes are neither in the cache nor in the remote.
type Missing struct {
	Path repopath.Path
	Ref  object.Ref
	URL  string // of the remote; "" when none was asked
	More int    // if not 0, it stands for so many more files of the output Path
}

// Error names the path and the object.
func (m *Missing) Error() string {
	if m.More > 0 {
		return fmt.Sprintf("%s: and %d more files", m.Path, m.More)
	}
	if m.URL == "" {
		return fmt.Sprintf("%s: %s is not in the cache", m.Path, m.Ref)
	}
	return fmt.Sprintf("%s: %s is neither in the cache nor in %s", m.Path, m.Ref, m.URL)
}

// Unwrap makes it a store.ErrNotFound.
func (m *Missing) Unwrap() error { return store.ErrNotFound }

func (c lane) missing(p repopath.Path, ref object.Ref) error {
	m := &Missing{Path: p, Ref: ref}
	if c.Remote != nil {
		m.URL = c.Remote.URL()
	}
	return m
}

// Partial says which outputs could not be fetched, and why. All others were.
type Partial struct {
	stopped map[object.Ref]bool // outputs
	reasons []error             // for each object a *Missing or an error of kind integrity; or why a remote could not be asked
}

// Error has a line for each reason.
func (p *Partial) Error() string { return errors.Join(p.reasons...).Error() }

// Unwrap returns the reasons.
func (p *Partial) Unwrap() []error { return p.reasons }

// Stops reports whether an output could not be fetched.
func (p *Partial) Stops(o artifact.Output) bool { return p.stopped[object.Of(o)] }

// and adds what another one says.
func (p *Partial) and(q *Partial) *Partial {
	if p == nil {
		return q
	}
	if q != nil {
		p.reasons = append(p.reasons, q.reasons...)
		for ref, stopped := range q.stopped {
			p.stopped[ref] = p.stopped[ref] || stopped
		}
	}
	return p
}

// partial says which of the outputs cannot be had; nil: all can.
func (w *wanted) partial(outs []artifact.Output) error {
	if len(w.lost) == 0 {
		return nil
	}
	p := &Partial{stopped: map[object.Ref]bool{}}
	for _, o := range outs {
		why := w.reasons(o.Path, object.Of(o))
		p.stopped[object.Of(o)] = len(why) > 0
		const most = 20 // of one output; every output is named
		if n := len(why); n > most {
			why = append(why[:most:most], &Missing{Path: o.Path, More: n - most})
		}
		p.reasons = append(p.reasons, why...)
	}
	if len(p.reasons) == 0 {
		return nil
	}
	return p
}

// reasons says why an output cannot be had. An object that several outputs have in common is
// named for each.
func (w *wanted) reasons(at repopath.Path, out object.Ref) (why []error) {
	if err := w.lost[out]; err != nil {
		return []error{named(err, at)}
	}
	t := w.seen[out]
	if t == nil {
		return nil
	}
	for _, e := range t.Entries {
		if !e.IsFile() {
			continue
		}
		if err := w.lost[object.Ref{Digest: e.Digest}]; err != nil {
			why = append(why, named(err, at.Child(string(e.Path))))
		}
	}
	return why
}

// named is the reason for another path with the same object.
func named(err error, at repopath.Path) error {
	if m := (*Missing)(nil); errors.As(err, &m) {
		return &Missing{Path: at, Ref: m.Ref, URL: m.URL}
	}
	return err
}

// Explained gives what is missing its kind and its next step, once for all of it.
func Explained(err error) error {
	var m *Missing
	if !errors.As(err, &m) || diag.KindOf(err) == diag.NotFound {
		return err
	}
	var others []error
	if reasons := reasons(err); reasons != nil {
		var missing []error
		for _, why := range reasons {
			if errors.Is(why, store.ErrNotFound) {
				missing = append(missing, why)
			} else {
				others = append(others, why)
			}
		}
		err = errors.Join(missing...)
	}
	e := diag.New(diag.NotFound, "%w", err)
	if m.URL == "" {
		e.Hinted("rebuild it: pipe repro --rebuild-missing")
	} else {
		e.Hinted("run pipe push --repair on a machine that has it, or rebuild it here: pipe repro --rebuild-missing, then pipe push --repair")
	}
	if len(others) == 0 {
		return e
	}
	return errors.Join(append([]error{e}, others...)...)
}

// reasons takes a Partial, and what was joined with others, apart.
func reasons(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var all []error
	for _, e := range joined.Unwrap() {
		if inner := reasons(e); inner != nil {
			all = append(all, inner...)
		} else {
			all = append(all, e)
		}
	}
	return all
}

// wrong says what is wrong with an object whose bytes are not what its name says.
func (c *Carrier) wrong(ctx context.Context, it item, from store.Store, err error) error {
	if size, serr := from.Stat(ctx, it.ref); serr == nil && size != it.size && it.tree == nil {
		return announced(it, bytesOf(it.size), bytesOf(size))
	}
	return diag.New(diag.Integrity, "%s: %w", it.path, err).
		Hinted("run pipe push --repair --read on a machine that has it, or build it again: pipe repro --force %s", it.out)
}

// corrupt says that the cache's copy is damaged.
func corrupt(p repopath.Path, err error) error {
	return diag.New(diag.Integrity, "push %s: %w", p, err).Hinted("run pipe verify to list damaged cache objects and move them aside")
}

// firstFew joins the errors, in order, and counts those beyond a screenful.
func firstFew(errs []error) error {
	const most = 10
	errs = slices.DeleteFunc(errs, func(e error) bool { return e == nil })
	if len(errs) > most {
		more := fmt.Errorf("and %d more", len(errs)-most)
		errs = append(errs[:most:most], more)
	}
	return errors.Join(errs...)
}
