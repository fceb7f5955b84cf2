// Package powercut plays a disk that fails or loses power at a chosen step, for tests.
package powercut

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

// ErrCut is the error of the step at which the power went, and of all after it.
var ErrCut = errors.New("the power is gone")

// Disk knows what of a directory's content would survive a power cut: the bytes
// that a file had when it was synced, under the names that a directory had when
// it was synced. What is there before New is durable.
type Disk struct {
	dir   string
	fault func(n int, s atomicfile.Step) error

	mu    sync.Mutex
	steps []atomicfile.Step
	off   bool
	nodes map[string]*node // by the path of today
}

// node is a file or a directory, whatever its names: what of it is durable.
type node struct {
	dir   bool
	bytes []byte
	names map[string]*node
}

// New watches what happens below dir. fault, which may be nil, may fail the n-th
// step, counted from 0; ErrCut ends all.
func New(dir string, fault func(n int, s atomicfile.Step) error) (*Disk, error) {
	d := &Disk{dir: dir, fault: fault, nodes: map[string]*node{}}
	return d, d.syncAll()
}

// Files is the layer to hand to what is tested.
func (d *Disk) Files() atomicfile.Files { return atomicfile.Files{Before: d.before} }

// Steps returns the steps so far.
func (d *Disk) Steps() []atomicfile.Step {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.steps)
}

func (d *Disk) before(s atomicfile.Step) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return ErrCut
	}
	n := len(d.steps)
	d.steps = append(d.steps, s)
	if d.fault != nil {
		if err := d.fault(n, s); err != nil {
			d.off = errors.Is(err, ErrCut)
			return err
		}
	}
	return d.take(s)
}

// take notes what the step does. Syncs need not reach the disk below the test.
func (d *Disk) take(s atomicfile.Step) (err error) {
	switch s.Op {
	case atomicfile.OpCreate:
		d.nodes[s.Path] = &node{}
	case atomicfile.OpRemove:
		delete(d.nodes, s.Path)
	case atomicfile.OpLink:
		if _, err := os.Lstat(s.To); err != nil {
			d.nodes[s.To] = d.node(s.Path, false)
		}
	case atomicfile.OpRename:
		d.rename(s.Path, s.To)
	case atomicfile.OpSyncFile:
		if !writable(s.Path) {
			return fmt.Errorf("%s is open for reading alone, and Windows does not sync it", s.Path)
		}
		err = d.syncFile(s.Path)
	case atomicfile.OpSyncDir:
		err = d.syncDir(s.Path)
	case atomicfile.OpSyncFS:
		err = d.syncAll()
	}
	if err == nil {
		err = NoSync(s)
	}
	return err
}

// writable reports whether this process has the file open for writing, where the system
// tells (Linux).
func writable(path string) bool {
	all, err := os.ReadDir("/proc/self/fdinfo")
	want, serr := os.Stat(path)
	if err != nil || serr != nil {
		return true
	}
	for _, fd := range all {
		is, err := os.Stat("/proc/self/fd/" + fd.Name())
		if err != nil || !os.SameFile(is, want) {
			continue
		}
		// proc(5): "flags: 0100002", in octal; the last digit is the mode of access.
		info, _ := os.ReadFile("/proc/self/fdinfo/" + fd.Name())
		_, flags, _ := strings.Cut(string(info), "flags:\t")
		flags, _, _ = strings.Cut(flags, "\n")
		if strings.HasSuffix(flags, "1") || strings.HasSuffix(flags, "2") {
			return true
		}
	}
	return false
}

// NoSync is a Before that leaves out every sync, for tests that need no disk.
func NoSync(s atomicfile.Step) error {
	switch s.Op {
	case atomicfile.OpSyncFile, atomicfile.OpSyncDir, atomicfile.OpSyncFS:
		return atomicfile.ErrSkip
	}
	return nil
}

func (d *Disk) node(path string, dir bool) *node {
	if d.nodes[path] == nil {
		d.nodes[path] = &node{dir: dir}
	}
	return d.nodes[path]
}

func (d *Disk) rename(from, to string) {
	moved := map[string]*node{}
	for path, n := range d.nodes {
		if rest, ok := strings.CutPrefix(path+"/", from+"/"); ok {
			delete(d.nodes, path)
			moved[filepath.Join(to, rest)] = n
		}
	}
	maps.Copy(d.nodes, moved)
}

func (d *Disk) syncFile(path string) (err error) {
	d.node(path, false).bytes, err = os.ReadFile(path)
	return err
}

func (d *Disk) syncDir(dir string) (err error) {
	d.node(dir, true).names, err = d.namesNow(dir)
	return err
}

func (d *Disk) namesNow(dir string) (map[string]*node, error) {
	entries, err := os.ReadDir(dir)
	names := map[string]*node{}
	for _, e := range entries {
		names[e.Name()] = d.node(filepath.Join(dir, e.Name()), e.IsDir())
	}
	return names, err
}

func (d *Disk) syncAll() error {
	return filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return d.syncDir(path)
		}
		return d.syncFile(path)
	})
}

// Image is what a disk holds: the bytes of each file by its path, and nil for a directory.
type Image map[string][]byte

// Cut returns what a power cut now would leave. A disk may write names early and
// in any order: eager says of which directories it has written those of now.
// Bytes that nobody synced are lost.
func (d *Disk) Cut(eager func(dir string) bool) (Image, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	im := Image{}
	return im, d.cut(im, d.node(d.dir, true), "", eager)
}

func (d *Disk) cut(im Image, n *node, at string, eager func(dir string) bool) (err error) {
	names := n.names
	for path, is := range d.nodes {
		if is == n && eager(path) {
			if names, err = d.namesNow(path); err != nil {
				return err
			}
			break
		}
	}
	for name, child := range names {
		path := filepath.Join(at, name)
		if !child.dir {
			im[path] = append([]byte{}, child.bytes...)
			continue
		}
		im[path] = nil
		if err := d.cut(im, child, path, eager); err != nil {
			return err
		}
	}
	return nil
}

// Write fills the empty directory dir.
func (im Image) Write(dir string) error {
	for _, path := range slices.Sorted(maps.Keys(im)) { // a directory before what is in it
		to := filepath.Join(dir, path)
		if im[path] == nil {
			if err := os.Mkdir(to, 0o777); err != nil {
				return err
			}
		} else if err := os.WriteFile(to, im[path], 0o666); err != nil {
			return err
		}
	}
	return nil
}

// String is the same for two images that differ only in names made by rand.Text.
func (im Image) String() string {
	var b strings.Builder
	for path, content := range im {
		fmt.Fprintf(&b, "%q %q\n", path, content)
	}
	lines := strings.SplitAfter(regexp.MustCompile("[A-Z2-7]{26}").ReplaceAllString(b.String(), "*"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
