package workflow_test

import (
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/workflow"
)

func TestOldActionsAreNamed(t *testing.T) {
	for text, want := range map[string][]string{
		"      - uses: actions/checkout@v4\n      - uses: actions/checkout@v4\n":                               {"actions/checkout v4 (v7 is current)"},
		"uses: \"actions/checkout@v6.0.1\"\r\n":                                                                {"actions/checkout v6 (v7 is current)"},
		"uses: aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c # v5.1.0 pinned": {"aws-actions/configure-aws-credentials v5 (v6 is current)"},
		"uses: actions/checkout@v7":                                                                            nil,
		"uses: actions/checkout@v70":                                                                           nil,
		"uses: actions/checkout@main":                                                                          nil,
		"uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1":                                      nil,
		"uses: somebody/checkout@v1\nuses: ./.github/actions/run\n":                                            nil,
		"uses: actions/checkout@v99999999999999999999":                                                         nil,
		"uses: docker://alpine:3\n- uses: pipe-build/pipe/.github/x@v1\n":                                      nil,
	} {
		if got := workflow.Old([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
	_, own := workflow.File(workflow.GitHub, workflow.Project{AWS: true, Branches: []string{"main"}}, "app")
	if got := workflow.Old([]byte(own)); got != nil {
		t.Errorf("of pipe's own workflow: %q", got)
	}
}
