package transfer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/pkg/repopath"
)

// Missing is an output whose bytes are neither in the cache nor in the remote.
type Missing struct {
	Path repopath.Path
	Ref  object.Ref
	URL  string // of the remote; "" when there is none
}

// Error names the path and the object.
func (m *Missing) Error() string {
	where := "in the cache, and there is no remote"
	if m.URL != "" {
		where = "in the cache nor in " + m.URL
		return fmt.Sprintf("%s: %s is neither %s", m.Path, m.Ref, where)
	}
	return fmt.Sprintf("%s: %s is not %s", m.Path, m.Ref, where)
}

// Unwrap makes it a store.ErrNotFound.
func (m *Missing) Unwrap() error { return store.ErrNotFound }

func (c *Carrier) missing(p repopath.Path, ref object.Ref) error {
	m := &Missing{Path: p, Ref: ref}
	if c.Remote != nil {
		m.URL = c.Remote.URL()
	}
	return m
}

// Explained gives a Missing its kind and its next step.
func Explained(err error) error {
	var m *Missing
	if !errors.As(err, &m) || diag.KindOf(err) == diag.NotFound {
		return err
	}
	e := diag.New(diag.NotFound, "%w", err)
	if m.URL == "" {
		return e.Hinted("rebuild it: pipe repro --rebuild-missing")
	}
	return e.Hinted("run pipe push --repair on a machine that has it, or rebuild it here: pipe repro --rebuild-missing, then pipe push --repair")
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
