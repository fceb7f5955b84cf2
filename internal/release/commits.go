package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

// maxReleases bounds how many releases one commit can have. More than one comes of builds that
// were forced, or of other sources.
const maxReleases = 1000

// commitAt is where the nth release of a commit is noted.
func commitAt(project, commit string, n int) string {
	return base(project) + "commits/" + commit + "/" + strconv.Itoa(n)
}

// Note notes that a commit made a release. The notes of a commit have numbers without a gap, so
// that they are found without a list. Without a commit there is nothing to note.
func (e *Environment) Note(ctx context.Context, commit string, id ID) error {
	if commit == "" {
		return nil
	}
	want := id.String() + "\n"
	for n := range maxReleases {
		there, err := keep(ctx, e.cells, commitAt(e.opt.Project, commit, n), []byte(want))
		if err != nil || string(there) == want {
			return err
		}
	}
	return diag.New(diag.Policy, "commit %.12s has %d releases", commit, maxReleases)
}

// noteAgain is Note where the commit's first release most likely is this one: to look costs a request
// less than to be refused.
func (e *Environment) noteAgain(ctx context.Context, commit string, id ID) error {
	if commit == "" {
		return nil
	}
	b, _, err := e.cells.Load(ctx, commitAt(e.opt.Project, commit, 0))
	if err == nil && string(b) == id.String()+"\n" {
		return nil
	}
	return e.Note(ctx, commit, id)
}

// Of returns the releases that a commit made, the first one first.
func (e *Environment) Of(ctx context.Context, commit string) (ids []ID, err error) {
	for n := range maxReleases {
		at := commitAt(e.opt.Project, commit, n)
		b, _, err := e.cells.Load(ctx, at)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		text := string(b)
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
		id, err := ParseID(text)
		if err != nil {
			return nil, diag.New(diag.Integrity, "%w", fmt.Errorf("the index of commits: %w", err)).At(at)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
