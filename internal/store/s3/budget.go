package s3

import "context"

// budget bounds the memory of the uploads of one store, however many callers there are.
type budget struct {
	turn chan struct{} // held by the one who collects tokens: two half-served would wait for ever
	free chan struct{}
}

const (
	tokenSize  = 1 << 20
	maxTokens  = 64 // 4 parts of 16 MiB, or 64 small objects
	fullTokens = partSize / tokenSize
)

func newBudget() budget {
	b := budget{make(chan struct{}, 1), make(chan struct{}, maxTokens)}
	for range maxTokens {
		b.free <- struct{}{}
	}
	return b
}

// take waits until size bytes may be held. What is too large for the budget gets all of it.
func (b budget) take(ctx context.Context, size int64) (give func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	want := int(min(size/tokenSize+1, maxTokens))
	if size == partSize {
		want = fullTokens
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-b.turn }()
	for got := range want {
		select {
		case <-b.free:
		case <-ctx.Done():
			b.give(got)
			return nil, context.Cause(ctx)
		}
	}
	return func() { b.give(want) }, nil
}

func (b budget) give(n int) {
	for range n {
		b.free <- struct{}{}
	}
}
