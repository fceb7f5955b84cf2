// Package statindex remembers what a file's stat says about its digest.
//
// Hashing a large project takes long, and nearly all of its files are those of
// the last run. So the Index keeps, for each file that was hashed, its Stat and
// its digest, and for each directory that was listed, the names in it. File.Fits
// and Dir.Fits say whether such a record still holds.
//
// A record is trusted when the stat is the same in every field and the last
// change lies well before the reading (see racy). Modification times can be set
// back, change times cannot, so an edit that keeps size and modification time
// shows all the same. Where a system has no change time, such an edit goes unseen.
//
// The index is a cache and no more: a lost, damaged or older file of it costs one
// hashing. Of two processes that save at once the last one wins. There is one for
// each workspace, in .pipe/index; worktree fills it.
package statindex

import (
	"slices"
	"strings"
	"sync"

	"github.com/pipe-build/pipe/internal/atomicfile"
	"github.com/pipe-build/pipe/pkg/digest"
)

// File is what hashing a file found.
type File struct {
	Stat
	Read   int64 // when hashing began, in nanoseconds since 1970; 0: never hashed
	Digest digest.Digest
}

// Fits reports whether the digest still speaks of a file with this stat.
func (f *File) Fits(st Stat) bool { return fits(f.Stat, st, f.Read) }

// Dir is what listing a directory found. Once it is in an Index it is shared and
// never changed: to add to it, change a Clone and set that.
type Dir struct {
	Stat
	Read    int64    // when listing began, in nanoseconds since 1970
	Rules   [32]byte // identify the ignore rules that the entries were judged by
	Entries []Entry  // sorted by name
}

// Entry is one name of a listed directory.
type Entry struct {
	Name    string
	Kind    Kind
	Ignored bool // under the directory's rules
	File    File
}

// Fits reports whether the names are still those of a directory with this stat. It
// says nothing of the files: a change of their bytes does not touch the directory.
func (d *Dir) Fits(st Stat) bool { return fits(d.Stat, st, d.Read) }

// These are the times before a reading within which a change is not trusted to
// show: what is written again in the same tick of the file system's clock keeps its
// times. 10 ms is more than the kernel's tick (4 ms). Times without a fraction come
// from a file system that counts whole seconds (ext4 with small inodes, FAT by
// twos). Git compares with the time of its index file instead; here each file has
// the time when its own reading began.
const (
	racy  = int64(10e6)
	racyS = int64(2e9) + racy
)

// fits is the one rule of trust. The stat was taken before the content was read, so a
// change during the reading gives the file another one, unless it falls into the same
// tick as the change before it; and then that one lies within the margin of read.
func fits(was, is Stat, read int64) bool {
	margin := racy
	if is.Mtime%1e9 == 0 && is.Ctime%1e9 == 0 {
		margin = racyS
	}
	return read != 0 && was == is && max(is.Mtime, is.Ctime) < read-margin
}

// Find returns the entry of a name, nil when there is none.
func (d *Dir) Find(name string) *Entry {
	i, ok := slices.BinarySearchFunc(d.Entries, name, func(e Entry, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		return nil
	}
	return &d.Entries[i]
}

// Clone returns a copy that may be changed.
func (d *Dir) Clone() *Dir {
	c := *d
	c.Entries = slices.Clone(d.Entries)
	return &c
}

// List reads the names of a directory whose stat was st at the time now, and
// takes over what old, which may be nil, knows of its files: a new name in a directory
// says nothing against the other files' digests. Whether entries are ignored is not
// taken over; Rules stays zero, so that they are judged anew.
func (d *Directory) List(st Stat, now int64, old *Dir) (*Dir, error) {
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	dir := &Dir{Stat: st, Read: now, Entries: make([]Entry, 0, len(names))}
	for _, n := range names {
		e := Entry{Name: n.Name(), Kind: KindOf(n.Type())}
		if old != nil {
			if o := old.Find(e.Name); o != nil && o.Kind == e.Kind {
				e.File = o.File
			}
		}
		dir.Entries = append(dir.Entries, e)
	}
	slices.SortFunc(dir.Entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return dir, nil
}

// Index is a flat file, read whole, its directories parsed when asked for: a
// command may need only a few of them. All methods may be called from many goroutines. A
// record is replaced, never removed; that of a deleted directory stays.
type Index struct {
	mu    sync.Mutex
	raw   map[string][]byte // directories as the file has them, unless SetDir replaced them
	dirs  map[string]*Dir   // those that were asked for or set
	files map[string]File   // files asked for alone
	dirty bool
}

// New returns an empty index.
func New() *Index {
	return &Index{dirs: map[string]*Dir{}, files: map[string]File{}, raw: map[string][]byte{}}
}

// Load reads an index; one that is missing or damaged is empty.
func Load(path string) *Index {
	x := New()
	b, err := atomicfile.Read(path, 4<<30) // some 100 bytes a file
	if err != nil {
		return x
	}
	if files, raw := decode(b); files != nil {
		x.files, x.raw = files, raw
	}
	return x
}

// File returns the digest of a file with this stat, if it is known.
func (x *Index) File(name string, st Stat) (digest.Digest, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f, ok := x.files[name]
	return f.Digest, ok && f.Fits(st)
}

// SetFile keeps what hashing a file found.
func (x *Index) SetFile(name string, f File) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.files[name] = f
	x.dirty = true
}

// Dir returns what is known of a directory, which need not fit any more; nil is nothing.
func (x *Index) Dir(name string) *Dir {
	x.mu.Lock()
	defer x.mu.Unlock()
	if d := x.dirs[name]; d != nil {
		return d
	}
	d := parseDir(x.raw[name])
	if d != nil {
		x.dirs[name] = d
	}
	return d
}

// SetDir keeps what listing a directory found. From now on d is shared.
func (x *Index) SetDir(name string, d *Dir) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dirs[name] = d
	delete(x.raw, name)
	x.dirty = true
}

// Save writes the index to a path if it changed. Directories that nobody set are written
// back as they were read, without being parsed.
func (x *Index) Save(files atomicfile.Files, path string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.dirty {
		return nil
	}
	for name, d := range x.dirs {
		if _, ok := x.raw[name]; !ok {
			x.raw[name] = appendDir(nil, d)
		}
	}
	x.dirty = false
	err := files.Write(path, encode(x.files, x.raw), 0o666, "")
	if atomicfile.ReadOnly(err) {
		return nil // a read-only checkout: every run hashes anew
	}
	return err
}
