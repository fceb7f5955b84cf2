package dvc

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
)

// TestHashesAreThoseOfDVC: the names were made by DVC 3.67.
func TestHashesAreThoseOfDVC(t *testing.T) {
	mib := strings.Repeat("a", 1<<20-1)
	for _, c := range []struct{ what, text, plain, legacy string }{
		{"empty", "", "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"},
		{"LF", "a\nb\n", "dd8c6a395b5dd36c56d23275028f526c", "dd8c6a395b5dd36c56d23275028f526c"},
		{"CR LF", "a\r\nb\r\n", "59b0d7772f0561efb95518f3cb8abc60", "dd8c6a395b5dd36c56d23275028f526c"},
		{"a NUL is no text", "a\x00\r\n", "a200e344e12b35719025ffdb8b428ee8", "a200e344e12b35719025ffdb8b428ee8"},
		{"3 of 10 are no text", "\xe9\xe9\xe9\r\nabcdef", "52e5e97300383e8145cda2c08405440d", "632748dc7ea3d099b3c5518e7dcdf9f6"},
		{"4 of 10 are no text", "\xe9\xe9\xe9\xe9\r\nabcd", "0dd2e65b89b169b6c1e89e488abb0cd4", "0dd2e65b89b169b6c1e89e488abb0cd4"},
		{"CR LF over the edge of a MiB", mib + "\r\nb\r\n", "e0bc301cdd0940f2de68d786f8e52418", "deb8178cc400550795d42d701b97846d"},
		{"the first 512 bytes decide", strings.Repeat("a", 512) + "\x00\r\n", "96a3dead43ebd94a480cd618558af424", "cf3dae686db0ee01ddf03cfaf2cfd9ac"},
		{"binary, then text", "\x00" + mib + "x\r\ny", "4486542be765e4a4d57f78a4f1314e85", "11d16764d522d9b48ebcbbface2d8d71"},
	} {
		var copied bytes.Buffer
		h, err := Hash(context.Background(), strings.NewReader(c.text), &copied)
		if err != nil || h.MD5 != c.plain || h.Legacy != c.legacy || h.Size != int64(len(c.text)) || copied.String() != c.text {
			t.Errorf("%s: %+v, %v", c.what, h, err)
		}
		if !h.Is(Sum{MD5: c.plain}) || !h.Is(Sum{MD5: c.legacy, Legacy: true}) || c.plain != c.legacy && h.Is(Sum{MD5: c.legacy}) {
			t.Errorf("%s: taken for the other name", c.what)
		}
	}
}

// TestListsAreThoseOfDVC: names with all that JSON escapes, in the form of Python's json.
func TestListsAreThoseOfDVC(t *testing.T) {
	var list []Entry
	for _, at := range []string{"b", "a/é", "a b", `q"\`, "tab\tx", "😀", "\x7f", "nl\n", "x/y", "a-b", "a/b", "Z"} {
		list = append(list, Entry{MD5: strings.Repeat("0", 32), Path: at})
	}
	if s := SumOf(list, false); s.String() != "44c7f1657f294cb9740c77d5875b1a08.dir" {
		t.Errorf("%s: %s", s, encodeList(list))
	}
	if list[0].Path != "b" {
		t.Error("the caller's list was sorted")
	}
	read, err := parseList(encodeList(list))
	if err != nil || len(read) != len(list) || SumOf(read, false) != SumOf(list, false) {
		t.Errorf("read again: %v, %v", read, err)
	}
}

func TestAListThatLeavesItsDirectoryIsRefused(t *testing.T) {
	for _, at := range []string{"../x", "..", "/etc/passwd", "a/../../x", "a//b", "./a", "", "a/"} {
		if _, err := parseList(encodeList([]Entry{{MD5: strings.Repeat("0", 32), Path: at}})); err == nil {
			t.Errorf("%q was taken", at)
		}
	}
	for _, text := range []string{"", "{}", `[{"relpath": "a"}]`, `[{"md5": "0", "relpath": "a"}]`, `[{"md5": "` + strings.Repeat("0", 32) + `.dir", "relpath": "a"}]`} {
		if _, err := parseList([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADirectoryIsHashedWithoutWhatDVCIgnores(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		".dvcignore": "*.tmp\n", "d/a": "1", "d/b.tmp": "2", "d/sub/.dvcignore": "# here\nno\n", "d/sub/no": "3", "d/sub/c.tmp": "3", "d/sub/yes": "4", "d/.git/x": "5", "d/.dvc/x": "6",
	})
	tree, err := NewFiles(dir).At(context.Background(), "d")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range tree.Files {
		names = append(names, name)
	}
	if len(names) != 3 || tree.Files["a"].Size != 1 || tree.Files["sub/yes"].Size != 1 { // and sub/.dvcignore, as in DVC
		t.Errorf("%q", names)
	}
	if _, err := NewFiles(dir).At(context.Background(), "e"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

// TestStoresAreReadInBothLayouts, and wrong bytes are never handed on as right ones.
func TestStoresAreReadInBothLayouts(t *testing.T) {
	ctx := context.Background()
	cache, remote := t.TempDir(), t.TempDir()
	crlf := Sum{MD5: "dd8c6a395b5dd36c56d23275028f526c", Legacy: true}
	newer := Sum{MD5: "59b0d7772f0561efb95518f3cb8abc60"}
	write(t, cache, map[string]string{"dd/8c6a395b5dd36c56d23275028f526c": "a\r\nb\r\n"})
	write(t, remote, map[string]string{"files/md5/59/b0d7772f0561efb95518f3cb8abc60": "a\r\nb\r\n"})
	s := &Store{Places: []Raw{Folder(cache), Folder(remote)}}
	for _, sum := range []Sum{crlf, newer} {
		var b bytes.Buffer
		h, err := s.Copy(ctx, sum, &b)
		ok, herr := s.Has(ctx, sum)
		if err != nil || herr != nil || !ok || b.String() != "a\r\nb\r\n" || h.Size != 6 {
			t.Errorf("%v: %q, %v, %v, %v", sum, b.String(), ok, err, herr)
		}
	}
	absent := Sum{MD5: strings.Repeat("a", 32)}
	if _, err := s.Copy(ctx, absent, nil); !errors.Is(err, ErrNowhere) {
		t.Errorf("absent: %v", err)
	}
	if ok, err := s.Has(ctx, absent); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
	write(t, cache, map[string]string{"files/md5/aa/" + strings.Repeat("a", 30): "x"})
	if _, err := s.Copy(ctx, absent, nil); !diag.Is(err, diag.Integrity) {
		t.Errorf("wrong bytes: %v", err)
	}
}

func TestAListIsReadFromAStore(t *testing.T) {
	dir := t.TempDir()
	list := []Entry{{MD5: strings.Repeat("1", 32), Path: "a/b"}}
	sum := SumOf(list, false)
	write(t, dir, map[string]string{"files/md5/" + sum.MD5[:2] + "/" + sum.MD5[2:] + ".dir": string(encodeList(list))})
	got, err := (&Store{Places: []Raw{Folder(dir)}}).List(context.Background(), sum)
	if err != nil || len(got) != 1 || got[0] != list[0] {
		t.Errorf("%v, %v", got, err)
	}
}
