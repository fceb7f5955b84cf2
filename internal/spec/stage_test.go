package spec

import (
	"reflect"
	"testing"
	"time"
)

func TestADeployStageSaysHowItIsVerifiedComparedAndTakenDown(t *testing.T) {
	p := parseGood(t, `stages:
  a: {cmd: x, verify: {cmd: "./smoke.sh", retries: 5, every: 1m}, drift: ./d, undeploy: ./u, barrier: true}
  b: {cmd: x, verify: ./t, barrier: false}
  c: {cmd: x, verify: {cmd: "true", every: 2}}
  d: {cmd: x}
`)
	for i, want := range []Stage{
		{Verify: Verify{"./smoke.sh", 5, time.Minute}, Drift: "./d", Undeploy: "./u", Barrier: true},
		{Verify: Verify{"./t", 0, 10 * time.Second}},
		{Verify: Verify{"true", 0, 2 * time.Second}},
		{},
	} {
		s := p.Stages[i]
		if got := (Stage{Verify: s.Verify, Drift: s.Drift, Undeploy: s.Undeploy, Barrier: s.Barrier}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v", s.Name, got)
		}
	}
}
