package pipe

import (
	"context"
	"time"

	"github.com/pipe-build/pipe/internal/release"
)

// EnvironmentState is all that is known of one environment.
type EnvironmentState struct {
	Environment
	Remote   string       `json:"remote,omitempty"`   // where it is kept; empty: in this workspace alone
	Exists   bool         `json:"exists"`             // false: pipe.yaml declares it, and nothing was deployed yet
	N        uint64       `json:"n"`                  // number of the newest deployment; 0: there was none
	Next     []WaitingRun `json:"next,omitempty"`     // runs that wait for the environment, the first one first
	Asked    []string     `json:"asked,omitempty"`    // digests of plans that wait for an approval, the newest last
	Guard    string       `json:"guard,omitempty"`    // digest of the rules that the next deployment must keep
	Verified []string     `json:"verified,omitempty"` // releases that were live and worked, the newest first
}

// WaitingRun is a run that waits for an environment.
type WaitingRun struct {
	By        string    `json:"by,omitempty"`        // who started it
	Run       string    `json:"run,omitempty"`       // the CI's run, or host and process
	Since     time.Time `json:"since,omitzero"`      // since when it waits
	Commit    string    `json:"commit,omitempty"`    // that it deploys
	Automatic bool      `json:"automatic,omitempty"` // nobody asked for this very deployment
}

// Environment returns what is known of one environment. One that pipe.yaml declares need not
// exist yet.
func (p *Project) Environment(ctx context.Context, name string) (*EnvironmentState, error) {
	_, s, _, err := p.known(ctx, name)
	if err != nil {
		return nil, err
	}
	out := &EnvironmentState{Environment: describeEnvironment(s, p.behind(ctx)(s)), Exists: s.Exists(), N: s.N, Verified: idTexts(s.Verified)}
	if p.spec.Name != "" && p.home != nil {
		out.Remote = p.home.URL()
	}
	if !s.Guard.IsZero() {
		out.Guard = s.Guard.String()
	}
	for _, plan := range s.Asked {
		out.Asked = append(out.Asked, plan.String())
	}
	for i := range s.Next {
		out.Next = append(out.Next, waitingRun(&s.Next[i]))
	}
	return out, nil
}

func waitingRun(w *release.Waiting) WaitingRun {
	at, _ := time.Parse(time.RFC3339, w.At) // for people; what cannot be read is left out
	return WaitingRun{By: w.By, Run: w.Run, Since: at, Commit: w.Commit, Automatic: w.Automatic}
}
