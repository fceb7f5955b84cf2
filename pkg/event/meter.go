package event

import "sync/atomic"

// Meter counts the bytes of all transfers of a run while they go on. There are too many steps
// for an event each; whoever watches reads the meter as often as it likes, from any goroutine.
// The zero value is ready.
type Meter struct {
	Push Flow // to the remote
	Pull Flow // from the remote
}

// Flow is one direction. What is copied in vain and again counts once.
type Flow struct{ total, done atomic.Int64 }

// Plan adds bytes that are to be copied; a negative number takes back what need not be.
func (f *Flow) Plan(bytes int64) { f.total.Add(bytes) }

// Copy adds bytes that were copied; a negative number takes back what will be copied again.
func (f *Flow) Copy(bytes int64) { f.done.Add(bytes) }

// Read returns how many bytes are copied, of how many that are known to be wanted. The total
// grows as stages come to be transferred.
func (f *Flow) Read() (done, total int64) { return f.done.Load(), f.total.Load() }
