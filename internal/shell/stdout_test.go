//go:build !windows

package shell_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/pipe-build/pipe/internal/shell"
)

func TestStandardOutputCanBeHadApart(t *testing.T) {
	c, lines := command(t, `printf 'a\r\n\000b'; echo warning >&2; printf c`)
	var out bytes.Buffer
	c.Stdout = &out
	if err := shell.Run(t.Context(), c); err != nil || out.String() != "a\r\n\x00bc" || !slices.Equal(*lines, []string{"warning"}) {
		t.Errorf("%q, %q, %v", out.String(), *lines, err)
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestACommandIsNotStoppedByWhatNobodyReads(t *testing.T) {
	c, lines := command(t, `yes | head -c 1000000; echo done >&2`)
	c.Stdout = full{}
	if err := shell.Run(t.Context(), c); err != nil || !slices.Equal(*lines, []string{"done"}) {
		t.Errorf("%q, %v", *lines, err)
	}
}

func TestNobodyHoldsStandardOutputAfterRun(t *testing.T) {
	c, _ := command(t, `(trap '' TERM INT HUP; while :; do sleep 0.05; done) & echo done`)
	wait := held(t, &c)
	var out bytes.Buffer
	c.Stdout = &out
	if err := shell.Run(t.Context(), c); err != nil || out.String() != "done\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	wait()
}
