// Package faults kills pipe, or fails it, at every file system call of its verbs and looks at what is left.
//
// # What a point is
//
// A point is the n-th call of one run of a verb that a fault counts. A kill counts
// the calls that change something (create, write, rename, remove, sync, lock, start a
// program), of pipe and of everything it starts. An errno counts the calls that can
// fail so, of pipe and of git. A point strikes before its call is executed, so "after
// the call" is the point that follows. What struck is printed with the failure.
//
// Each point starts from a copy of the same world: a git repository, its cache, a
// remote, what is live. The real program runs in it, is struck once, and then runs
// once more without a fault. One run must be enough: promise 8 is that there is
// nothing to clean up, and a user who has to try twice cannot know when to stop.
// Then the world is compared with that of a run that nothing disturbed: sources and
// outputs, pipe.lock, git, what cache and remote hold, the environment and what is
// live, and what status, verify and a pull into a second workspace say.
//
// # How a call is stopped
//
// By seccomp's user notification: a filter that the program and all its children
// inherit hands each call to this test, which lets it go on, answers with an error or
// kills. strace counts per thread, so that its n-th call is another one in each run
// of a Go program; this counts over all threads and processes, in one order. It needs
// no rights and no tool, but Linux 5.19 on amd64.
//
//	go test ./internal/faults                          # a sample of each sweep
//	go test ./internal/faults -run 'Kill/push/crash/17$'  # one point
//	PIPE_SOAK=1 go test -timeout 4h ./internal/faults  # every point; part of make soak
package faults
