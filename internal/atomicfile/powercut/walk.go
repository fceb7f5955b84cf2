package powercut

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

// Case is an operation that promises to be whole or not at all, and durable once
// it returns no error. Its directory is a new one each time.
type Case struct {
	// Setup, which may be nil, makes what is there before.
	Setup func(dir string) error
	// Do is the operation. Calling it again is its retry.
	Do func(files atomicfile.Files, dir string) error
	// Check says what is wrong in dir. Until done, all may be as before Do.
	Check func(dir string, done bool) error
	// Litter, which may be nil, lists what must not stay after Do, failed or not.
	Litter func(dir string) []string
	// Spared reports whether Do may succeed though this step failed.
	Spared func(s atomicfile.Step) bool
}

// Walk does c without a fault, then once for each of its steps with that step
// failing, and once with the power cut there. After an error nothing is wrong
// and a retry is durable; after a power cut nothing is wrong whatever names the
// disk had written early, and a retry succeeds.
func Walk(t *testing.T, c Case) {
	t.Helper()
	d, dir, err := c.run(t, nil)
	c.want(t, "no fault", err, nil)
	c.durable(t, "no fault", d, dir)
	steps := d.Steps()
	if len(steps) == 0 {
		t.Error("nothing went through the file layer")
	}
	seen := map[string]bool{}
	for i, s := range steps {
		at := fmt.Sprintf("step %d of %d, %s %s", i, len(steps), s.Op, strings.TrimPrefix(s.Path, dir))
		c.fails(t, at, i)
		c.loses(t, at, i, seen)
	}
}

// run does the operation once, with err at step n, in a new directory.
func (c *Case) run(t *testing.T, fault func(n int, s atomicfile.Step) error) (*Disk, string, error) {
	t.Helper()
	dir := t.TempDir()
	if c.Setup != nil {
		c.want(t, "setup", c.Setup(dir), nil)
	}
	d, err := New(dir, fault)
	c.want(t, "setup", err, nil)
	return d, dir, c.Do(d.Files(), dir)
}

func (c *Case) want(t *testing.T, at string, err, want error) {
	t.Helper()
	if err != want {
		t.Errorf("%s: %v, want %v", at, err, want)
	}
}

// durable checks that all of a finished operation outlives a power cut.
func (c *Case) durable(t *testing.T, at string, d *Disk, dir string) {
	t.Helper()
	c.want(t, at, c.Check(dir, true), nil)
	im, err := d.Cut(func(string) bool { return false })
	c.want(t, at, err, nil)
	after := t.TempDir()
	c.want(t, at, im.Write(after), nil)
	c.want(t, at+": not durable", c.Check(after, true), nil)
}

// fails lets step i fail, and then does it all again.
func (c *Case) fails(t *testing.T, at string, i int) {
	t.Helper()
	var failed atomicfile.Step
	d, dir, err := c.run(t, func(n int, s atomicfile.Step) error {
		if n != i {
			return nil
		}
		failed = s
		return &os.PathError{Op: string(s.Op), Path: s.Path, Err: syscall.EIO}
	})
	spared := c.Spared != nil && c.Spared(failed)
	if err == nil && !spared {
		t.Errorf("%s: its error was ignored", at)
	}
	if err != nil && !strings.Contains(err.Error(), syscall.EIO.Error()) {
		t.Errorf("%s: another error: %v", at, err)
	}
	c.want(t, at+" failed", c.Check(dir, err == nil), nil)
	if c.Litter != nil && failed.Op != atomicfile.OpRemove {
		if left := c.Litter(dir); len(left) > 0 {
			t.Errorf("%s: left behind: %q", at, left)
		}
	}
	c.want(t, at+": retry", c.Do(d.Files(), dir), nil)
	c.durable(t, at+": retry", d, dir)
}

// loses cuts the power at step i, and looks at each order in which the disk may
// have written names. What it left at another step it does not look at again.
func (c *Case) loses(t *testing.T, at string, i int, seen map[string]bool) {
	t.Helper()
	d, _, _ := c.run(t, func(n int, _ atomicfile.Step) error {
		if n == i {
			return ErrCut
		}
		return nil
	})
	dirs, err := d.dirs()
	c.want(t, at, err, nil)
	for _, early := range append(dirs, "", "all") {
		im, err := d.Cut(func(dir string) bool {
			return early == "all" || strings.HasPrefix(early+"/", dir+"/")
		})
		c.want(t, at, err, nil)
		if seen[im.String()] {
			continue
		}
		seen[im.String()] = true
		after := t.TempDir()
		c.want(t, at, im.Write(after), nil)
		c.want(t, fmt.Sprintf("%s: power cut, names early in %q", at, early), c.Check(after, false), nil)
		c.want(t, at+": retry after power cut", c.Do(atomicfile.Files{Before: NoSync}, after), nil)
		c.want(t, at+": retry after power cut", c.Check(after, true), nil)
	}
}

// dirs returns the directories that there are now.
func (d *Disk) dirs() (dirs []string, err error) {
	err = filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	return dirs, err
}
