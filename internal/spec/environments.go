package spec

import (
	"time"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// Environment is where deploy stages act, as pipe.yaml declares it. extends and each are
// resolved: what stands here is all of it.
type Environment struct {
	Name    string // or a pattern with *, which makes environments by use
	Group   string // the entry whose each: file names it; empty: pipe.yaml itself does
	Env     []EnvVar
	Auto    string   // branch whose runs deploy here; "true": promoted by the run that verified it in From; empty: off
	From    []string // environments in which a release must be verified before it comes here
	Pin     repopath.Path
	Approve *Approve // nil: nobody needs to
	Queue   Queue
	OnFail  OnFail
	After   AfterRollback
	Place   string
}

// EnvVar is a variable of an environment.
type EnvVar struct{ Name, Value string }

// Approve says who must approve a deployment.
type Approve struct {
	CI      bool          // approve: ci, the gate of the CI system
	Signers repopath.Path // file in the form of ssh's allowed_signers
	Count   int           // how many must sign, at least 1
	NotSelf bool          // who asked does not count
}

// Queue is what becomes of those who wait for an environment.
type Queue string

// The queues.
const (
	QueueNewest Queue = "newest" // the newest commit goes on, older ones are superseded
	QueueAll    Queue = "all"    // one after the other
)

// OnFail is what follows when verify has failed.
type OnFail string

// The values of on_fail.
const (
	OnFailStop     OnFail = "stop"
	OnFailRollback OnFail = "rollback"
)

// AfterRollback is what a rollback keeps away.
type AfterRollback string

// The values of after_rollback.
const (
	AfterHold AfterRollback = "hold" // every automatic deployment
	AfterNext AfterRollback = "next" // only the release that was rolled away from
)

// Verify is a command that decides whether a deployment works.
type Verify struct {
	Cmd     string
	Retries int           // further tries after the first one that failed
	Every   time.Duration // between tries
}
