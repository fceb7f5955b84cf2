package deploy

import (
	"context"
	"sync"
)

// Mutexes are the mutexes of stages that count in one process, however many environments it
// deploys to. The zero value is ready.
type Mutexes struct {
	mu     sync.Mutex
	places map[string]chan struct{}
}

// take waits until a mutex is free, and returns how to free it.
func (m *Mutexes) take(ctx context.Context, name string) (free func(), err error) {
	m.mu.Lock()
	if m.places == nil {
		m.places = map[string]chan struct{}{}
	}
	place := m.places[name]
	if place == nil {
		place = make(chan struct{}, 1)
		m.places[name] = place
	}
	m.mu.Unlock()
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
