package release_test

import (
	"testing"

	"github.com/pipe-build/pipe/internal/release"
)

// The stages of one release may have come with several deployments, after a failure; the last of them brought it.
func TestTheNewestReleaseAndItsNumber(t *testing.T) {
	two, one := id("v2"), id("v1")
	s := &release.State{
		N: 9, Verified: []release.ID{two, one}, Hold: &release.Hold{Until: release.UntilResume, Veto: []release.ID{two}},
		Stages: map[string]release.Stage{"a": {Release: one, N: 5}, "b": {Release: one, N: 6}, "c": {Release: one, N: 4}},
	}
	if got := s.Newest(); got != one {
		t.Errorf("got %v, want the one that was not rolled away from", got)
	}
	if got := s.NumberOf(one); got != 6 {
		t.Errorf("got #%d, want #6", got)
	}
	if got := s.NumberOf(two); got != 0 {
		t.Errorf("got #%d of a release that was not deployed, want none", got)
	}
	if s.Hold = nil; s.Newest() != two {
		t.Error("without a hold nothing is left out")
	}
}
