package transfer_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/object"
	"github.com/pipe-build/pipe/internal/store"
	"github.com/pipe-build/pipe/internal/store/disk"
	"github.com/pipe-build/pipe/internal/transfer"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// What lock and record say of an object is held against its bytes when they move.
func TestWhatIsAnnouncedIsCheckedWhenBytesMove(t *testing.T) {
	good := fmt.Sprintf("%x", sha256.Sum256([]byte("app")))
	file := artifact.Output{Path: "app", Digest: ref("app").Digest, Size: 3}
	for name, c := range map[string]struct {
		change func(o *artifact.Output)
		dir    bool
		want   string // in the error; empty: none
	}{
		"right":              {func(o *artifact.Output) { o.SHA256 = good }, false, ""},
		"too small":          {func(o *artifact.Output) { o.Size = 2 }, false, "2 bytes"},
		"too large":          {func(o *artifact.Output) { o.Size = 4 }, false, "4 bytes"},
		"another sha256":     {func(o *artifact.Output) { o.SHA256 = strings.Repeat("0f", 32) }, false, "sha256 0f0f"},
		"a right directory":  {func(*artifact.Output) {}, true, ""},
		"a larger directory": {func(o *artifact.Output) { o.Size++ }, true, "bytes in 2 files"},
		"a fuller directory": {func(o *artifact.Output) { o.Files++ }, true, "bytes in 3 files"},
	} {
		p := newProject(t)
		if err := p.carrier().Publish(t.Context(), append(p.outs, file)); err != nil {
			t.Fatal(err)
		}
		o := file
		if c.dir {
			o = p.outs[1]
		}
		c.change(&o)
		empty := disk.Open(t.TempDir())
		from := &transfer.Carrier{Cache: empty, Remote: p.remote, Workers: 2}
		err := from.Fetch(t.Context(), []artifact.Output{o})
		if c.want == "" && err != nil || c.want != "" && (diag.ExitCode(err) != 7 || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := empty.Stat(t.Context(), object.Of(o)); (err == nil) != (c.want == "") {
			t.Errorf("%s: in the cache: %v", name, err)
		}
		if c.want == "" || o.SHA256 != "" {
			continue
		}
		// The bytes that are here are whole: it is the announcement that is wrong.
		fresh := &transfer.Carrier{Cache: p.cache, Remote: newProject(t).remote, Workers: 2}
		for verb, err := range map[string]error{"fetch": p.carrier().Fetch(t.Context(), []artifact.Output{o}), "publish": fresh.Publish(t.Context(), []artifact.Output{o})} {
			if diag.ExitCode(err) != 7 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v", name, verb, err)
			}
		}
		if _, err := p.cache.Stat(t.Context(), object.Of(o)); err != nil {
			t.Errorf("%s: the cache lost its copy: %v", name, err)
		}
	}
}

func TestATreeThatAnnouncesAnotherSizeIsRefused(t *testing.T) {
	p := newProject(t)
	tree := &object.Tree{Entries: []object.Entry{{Kind: object.File, Path: "app", Digest: ref("app").Digest, Size: 5}}}
	o := tree.Output("dist")
	for _, s := range []store.Store{p.remote, p.cache} {
		if err := errors.Join(s.Put(t.Context(), ref("app"), store.Bytes([]byte("app"))), s.Put(t.Context(), object.Of(o), store.Bytes(tree.Encode()))); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 2}
	for where, c := range map[string]*transfer.Carrier{"here": p.carrier(), "elsewhere": elsewhere} {
		if err := c.Fetch(t.Context(), []artifact.Output{o}); diag.ExitCode(err) != 7 || !strings.Contains(err.Error(), "dist/app") {
			t.Errorf("%s: %v", where, err)
		}
	}
}

func TestTwoAnnouncementsOfOneObjectMustAgree(t *testing.T) {
	a := artifact.Output{Path: "a", Digest: ref("app").Digest, Size: 3, SHA256: strings.Repeat("0a", 32)}
	size, sum := a, a
	size.Path, size.Size, sum.Path, sum.SHA256 = "b", 4, "b", strings.Repeat("0b", 32)
	for _, b := range []artifact.Output{size, sum} {
		p := newProject(t)
		if err := p.carrier().Fetch(t.Context(), []artifact.Output{a, b}); diag.ExitCode(err) != 7 {
			t.Errorf("%+v: %v", b, err)
		}
	}
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	silent := a
	silent.Path, silent.SHA256 = "b", ""
	c := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 2}
	if err := c.Fetch(t.Context(), []artifact.Output{silent, a}); diag.ExitCode(err) != 7 {
		t.Errorf("the second one's sha256 is not looked at: %v", err)
	}
}

func TestACopyOfTheCacheThatWasCutOffIsFetchedAgain(t *testing.T) {
	p := newProject(t)
	if err := p.carrier().Publish(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(p.root, filepath.FromSlash(store.Path(ref("app"))))
	if err := errors.Join(os.Chmod(at, 0o644), os.Truncate(at, 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.carrier().Fetch(t.Context(), p.outs); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(at); err != nil || string(b) != "app" {
		t.Errorf("%q, %v", b, err)
	}
}

// A form's bound is a rule as any other: whoever breaks it has not been pipe.
func TestAnObjectThatBreaksABoundIsRefusedAsTheOthersAre(t *testing.T) {
	long := "pipe-tree 1\nf\t" + ref("app").Digest.Hex() + "\t3\t" + strings.Repeat("a/", 2100) + "a\n"
	p, d := newProject(t), digest.Of([]byte(long))
	for _, s := range []store.Store{p.cache, p.remote} {
		for _, shelf := range []object.Shelf{object.Trees, object.Inputs} {
			if err := s.Put(t.Context(), object.Ref{Shelf: shelf, Digest: d}, store.Bytes([]byte(long))); err != nil {
				t.Fatal(err)
			}
		}
	}
	elsewhere := &transfer.Carrier{Cache: disk.Open(t.TempDir()), Remote: p.remote, Workers: 2}
	for where, c := range map[string]*transfer.Carrier{"here": p.carrier(), "elsewhere": elsewhere} {
		_, asTree := c.Tree(t.Context(), "dist", d)
		_, asList := c.List(t.Context(), d)
		if diag.ExitCode(asTree) != 7 || diag.ExitCode(asList) != 7 {
			t.Errorf("%s: %v; %v", where, asTree, asList)
		}
	}
}
