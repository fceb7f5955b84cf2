// Package drill shows with real processes what environments and pipe ci promise when runs are killed,
// stopped, raced and cut off.
//
// Each drill has a world: a directory remote or a prefix on a real S3 server, clones of one
// project beside it, and a deploy command that says when it begins and ends, takes a lock that
// the system gives up only when its last process is gone, and writes what is live into a file.
// That file is the truth; what pipe says is held against it.
//
// The drills of pipe ci, ci_*_test.go, have a forge beside it, and jobs that are checked out and run as GitHub
// Actions does that. There the forge's repository is the truth, and what the two servers were asked for.
//
// A lease lives for PIPE_LEASE_TTL, which is three seconds here but for those jobs, so that a takeover comes
// after thirteen.
// Bounds of time are those that the contract states, never how quick a machine is.
//
//	go test ./internal/drill                          # a sample of each drill
//	go test ./internal/drill -args -seed=7             # the same moments and histories again
//	PIPE_SOAK=1 go test -timeout 4h ./internal/drill   # all of it; part of make soak
package drill
