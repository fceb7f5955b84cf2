package release

import (
	"context"
	"errors"

	"github.com/pipe-build/pipe/internal/store"
)

// Beside returns a document that never changes and lies beside the state; nil: there is none.
func (e *Environment) Beside(ctx context.Context, name string) ([]byte, error) {
	b, _, err := e.cells.Load(ctx, e.BesideAt(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

// PutBeside puts such a document. It returns the one that is there in the end: value, or what
// somebody has put earlier.
func (e *Environment) PutBeside(ctx context.Context, name string, value []byte) ([]byte, error) {
	return keep(ctx, e.cells, e.BesideAt(name), value)
}

// BesideAt is where the document lies.
func (e *Environment) BesideAt(name string) string {
	return root(e.opt.Project) + "/" + e.opt.Name + "/" + name
}
