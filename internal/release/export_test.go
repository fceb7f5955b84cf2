package release

import "context"

// Die leaves a deployment as the death of its process does: nothing is written any more.
func Die(d *Deployment) { _ = d.held.Free(context.Background(), nil) }

// SettledBy is how a deployment ends, told before its last write.
func SettledBy(d *Deployment) *Entry { return d.entry }
