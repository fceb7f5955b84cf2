package lockfile

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/pkg/artifact"
	"github.com/pipe-build/pipe/pkg/digest"
)

// small is a stage with one line of everything that may vary.
func small(name string) Stage {
	return Stage{Name: name, Key: keyOf(name), Cmd: sum("make"), Outs: []artifact.Output{{Path: "out", Digest: sum(name), Size: 1}}}
}

func blockOf(name string) string { s := small(name); return string(s.append(nil)) }

// forged is the block of a stage after a change, with the sum that fits.
func forged(block, old, new string) string {
	lines := strings.SplitAfter(strings.Replace(block, old, new, 1), "\n")
	n := len(lines) - 3 // the sum, the end, nothing
	body := strings.Join(lines[1:n], "")
	s := sumOf([]byte(body))
	return lines[0] + body + sumField + string(s[:]) + "\n" + lines[n+1]
}

const head = banner + "schema: 1\nstages:\n"

func namesOf(f *File) (names []string) {
	for _, s := range f.Stages {
		names = append(names, s.Name)
	}
	return names
}

func TestAMissingLockIsAnEmptyOne(t *testing.T) {
	for _, text := range []string{"", "\n", "\ufeff", " \r\n", banner, "schema: 1\n", "schema: 1\nstages:\n", "schema: 1\nstages: {}"} {
		f, err := Parse(FileName, []byte(text))
		if err != nil || len(f.Stages)+len(f.Absent) != 0 {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}

// Windows, editors and merges change what is around the blocks.
func TestParseReadsTheSameBlocksHoweverTheyStand(t *testing.T) {
	a, b := blockOf("a"), blockOf("b")
	for name, lock := range map[string]string{
		"as written":         head + a + b,
		"Windows":            strings.ReplaceAll("\ufeff"+head+a+b, "\n", "\r\n"),
		"half Windows":       head + strings.ReplaceAll(a, "\n", "\r\n") + b,
		"another order":      head + b + a,
		"twice the same":     head + a + b + a,
		"header twice":       head + a + head + b,
		"header at the end":  a + b + head,
		"union of an empty":  banner + "schema: 1\nstages: {}\nstages:\n" + a + b,
		"blank lines":        head + "\n" + a + "\n\n" + b + "\n",
		"no newline at all":  head + a + strings.TrimSuffix(b, "\n"),
		"only blocks":        a + b,
		"a cut copy as well": head + strings.SplitAfter(b, "\n")[0] + a + b,
	} {
		f, err := Parse(FileName, []byte(lock))
		if err != nil || !slices.Equal(namesOf(f), []string{"a", "b"}) || len(f.Absent) > 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
			continue
		}
		if got := string(f.Encode()); got != head+a+b {
			t.Errorf("%s: written again as\n%s", name, got)
		}
	}
}

// damages is every way in which a block does not count.
func damages() map[string]string {
	all := damaged()
	maps.Copy(all, malformed())
	maps.Copy(all, contradictory())
	return all
}

// damaged is every way in which a sum is wrong or not where it belongs, in a lock of a, b and c.
func damaged() map[string]string {
	a, b, c := blockOf("a"), blockOf("b"), blockOf("c")
	lines := strings.SplitAfter(b, "\n")
	sumLine := lines[len(lines)-3]
	other := small("b")
	other.Outs[0].Digest = sum("other bytes")
	lock := func(parts ...string) string { return head + strings.Join(parts, "") }
	change := func(old, new string) string { return lock(a, strings.Replace(b, old, new, 1), c) }
	return map[string]string{
		"edited":               change("size: 1", "size: 2"),
		"other sum":            change("sum: ", "sum: 0000000000000000\n    sum: "),
		"sum in capitals":      lock(a, strings.Replace(b, sumLine, sumField+strings.ToUpper(sumLine[len(sumField):]), 1), c),
		"no sum":               lock(a, strings.Join(slices.Concat(lines[:len(lines)-3], lines[len(lines)-2:]), ""), c),
		"empty":                lock(a, lines[0], lines[len(lines)-2], c),
		"doubled key":          change("    cmd:", lines[2]+"    cmd:"),
		"markers inside":       change("    cmd:", "<<<<<<< ours\n=======\n    x: 1\n>>>>>>> theirs\n    cmd:"),
		"no end":               lock(a, strings.TrimSuffix(b, lines[len(lines)-2]), c),
		"no begin":             lock(a, strings.TrimPrefix(b, lines[0]), c),
		"end of another":       change("# end b", "# end c"),
		"cut off":              lock(a, c, b[:len(b)/2]),
		"two different":        lock(a, b, c, string(other.append(nil))),
		"base of a conflict":   lock(a, "<<<<<<< ours\n||||||| base\n"+b+"=======\n>>>>>>> theirs\n", c),
		"base within a base":   lock(a, "<<<<<<< ours\n||||||| base\n<<<<<<<<< x\n||||||||| y\n=========\n>>>>>>>>> z\n"+b+"=======\n>>>>>>> theirs\n", c),
		"base in long markers": lock(a, "<<<<<<<<< ours\n||||||||| base\n=======\n"+b+"=========\n>>>>>>>>> theirs\n", c),
		"reformatted":          lock(a, strings.ReplaceAll(b, "\n    ", "\n      "), c),
	}
}

// malformed is every way in which a sum is right over lines that pipe would not write.
func malformed() map[string]string {
	a, b, c := blockOf("a"), blockOf("b"), blockOf("c")
	forge := func(old, new string) string { return head + a + forged(b, old, new) + c }
	return map[string]string{
		"form: empty key":      forge("    outs:", "    params: # b\n      - {file: p, key: \"\", value: \"1\"} # b\n    outs:"),
		"form: bare answer":    forge("    outs:", "    images: # b\n      - {name: a, answer: sha256:"+sum("b").Hex()+"} # b\n    outs:"),
		"form: short answer":   forge("    outs:", "    images: # b\n      - {name: a, answer: \"sha256:"+sum("b").Hex()[1:]+"\"} # b\n    outs:"),
		"form: weak answer":    forge("    outs:", "    urls: # b\n      - {name: a, answer: \"W/\\\"1\\\"\"} # b\n    outs:"),
		"form: empty ETag":     forge("    outs:", "    urls: # b\n      - {name: a, answer: \"etag:\\\"\\\"\"} # b\n    outs:"),
		"form: urls first":     forge("    outs:", "    urls: # b\n      - {name: a, answer: \"etag:\\\"1\\\"\"} # b\n    tools: # b\n      - {cmd: make, hash: "+sum("b").String()+", size: 1} # b\n    outs:"),
		"form: zero hash":      forge("    outs:", "    params: # b\n      - {file: p, hash: "+digest.Digest{}.String()+"} # b\n    outs:"),
		"form: empty hash":     forge("    outs:", "    env: # b\n      - {name: A, hash: \"\"} # b\n    outs:"),
		"form: zero in":        forge("    outs:", "    deps: # b\n      - {path: p, hash: "+sum("b").String()+", size: 1, in: "+digest.Digest{}.String()+"} # b\n    outs:"),
		"form: x- name":        forge("size: 1}", "size: 1, x-A: 1}"),
		"form: x- twice":       forge("size: 1}", "size: 1, x-a: 1, x-a: 1}"),
		"form: x- lines":       forge("size: 1} # b\n", "size: 1} # b\n    x-a: 1\n    x-a: 1\n"),
		"form: x- control":     forge("size: 1} # b\n", "size: 1} # b\n    x-a: \t1\n"),
		"line too long":        forge("    outs:", "    env: # b\n      - {name: A, value: \""+strings.Repeat("a", maxLine)+"\"} # b\n    outs:"),
		"form: space":          forge("size: 1", "size:  1"),
		"form: comment":        forge("    cmd:", "    # a remark\n    cmd:"),
		"form: order":          forge("hash: "+sum("b").String()+", size: 1", "size: 1, hash: "+sum("b").String()),
		"form: doubled":        forge("    cmd:", "    cmd: "+sum("make").String()+"\n    cmd:"),
		"form: quotes":         forge("path: out", `path: "out"`),
		"form: quoted key":     forge("key: "+keyOf("b").String(), `key: "`+keyOf("b").String()+`"`),
		"form: plus":           forge("size: 1", "size: +1"),
		"form: zero":           forge("size: 1", "size: 01"),
		"form: negative":       forge("size: 1", "size: -1"),
		"form: huge":           forge("size: 1", "size: 99999999999999999999"),
		"form: surrogates":     forge("path: out", `path: "\ud83d\ude00"`),
		"form: slash":          forge("path: out", `path: "a \/"`),
		"form: UTF-8":          forge("path: out", "path: \"\xff\""),
		"form: capitals":       forge(sum("b").Hex(), strings.ToUpper(sum("b").Hex())),
		"form: generation":     forge("    cmd:", "    generation: 0\n    cmd:"),
		"form: generations":    forge("    cmd:", "    generation: 2147483648\n    cmd:"),
		"form: no outs":        forge("    outs: # b\n", "    outs: # b\n    outs: # b\n"),
		"form: two outs":       forge("      - {path", "      - {path: out, hash: "+sum("b").String()+", size: 1} # b\n      - {path"),
		"form: false":          forge(", hash:", ", exec: false, hash:"),
		"form: sha256":         forge("size: 1", "size: 1, sha256: ab"),
		"form: other mark":     forge("} # b", "} # a"),
		"form: no mark at all": forge("outs: # b", "outs:"),
		"form: no mark":        forge("} # b", "}"),
		"form: other name":     forge("  b:", "  a:"),
		"form: x- unsorted":    forge("size: 1} # b\n", "size: 1} # b\n    x-b: 1\n    x-a: 1\n"),
		"form: x- early":       forge("    cmd:", "    x-a: 1\n    cmd:"),
		"form: x- of a list":   forge("size: 1}", "size: 1, x-a: [1]}"),
		"path: leaves":         forge("path: out", `path: "../out"`),
		"path: absolute":       forge("path: out", `path: "/etc/passwd"`),
		"path: .git":           forge("path: out", `path: ".git/hooks/x"`),
		"path: root":           forge("path: out", `path: "."`),
	}
}

// contradictory is a right sum over items that say what no input or output can be.
func contradictory() map[string]string {
	a, b, c := blockOf("a"), blockOf("b"), blockOf("c")
	forge := func(old, new string) string { return head + a + forged(b, old, new) + c }
	return map[string]string{
		"form: inexact":       forge("size: 1", "size: 9007199254740992"),
		"form: file of files": forge("size: 1", "size: 1, files: 1"),
		"form: dir to run":    forge("path: out", "path: out, kind: dir, exec: true"),
		"form: sha256 of dir": forge("path: out, hash: "+sum("b").String()+", size: 1", "path: out, kind: dir, hash: "+sum("b").String()+", size: 1, sha256: "+strings.Repeat("ab", 32)),
		"form: zero out":      forge(sum("b").String()+", size", digest.Digest{}.String()+", size"),
		"form: dep to run":    forge("    outs:", "    deps: # b\n      - {path: p, kind: dir, exec: true, hash: "+sum("b").String()+", size: 1} # b\n    outs:"),
		"form: dep of files":  forge("    outs:", "    deps: # b\n      - {path: p, hash: "+sum("b").String()+", size: 1, files: 1} # b\n    outs:"),
	}
}

func TestADamagedBlockIsAbsentAndTheRestCounts(t *testing.T) {
	var said strings.Builder
	lock := damages()
	for _, name := range sortedKeys(lock) {
		f, err := Parse(FileName, []byte(lock[name]))
		if err != nil || !slices.Equal(namesOf(f), []string{"a", "c"}) || len(f.Absent) == 0 {
			t.Errorf("%s: %v, %v", name, f, err)
			continue
		}
		for _, a := range f.Absent {
			fmt.Fprintf(&said, "%s: %d: %s\n", name, a.Line, a)
		}
		if again, err := Parse(FileName, f.Encode()); err != nil || len(again.Absent) > 0 || !slices.Equal(namesOf(again), namesOf(f)) {
			t.Errorf("%s: written again: %+v, %v", name, again, err)
		}
	}
	golden(t, "absent.txt", []byte(said.String()))
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// newers is what a later version may write, in a block whose sum is right.
func newers() map[string]string {
	forge := func(old, new string) string { return head + blockOf("a") + forged(blockOf("b"), old, new) }
	return map[string]string{
		"schema":             strings.Replace(head, "schema: 1", "schema: 2", 1) + blockOf("a"),
		"field":              forge("    outs:", "    colour: red\n    outs:"),
		"list":               forge("    outs:", "    images:\n      - {path: cc} # b\n    outs:"),
		"field of an out":    forge("size: 1}", "size: 1, mode: 493}"),
		"first of an out":    forge("{path", "{link: true, path"),
		"field of a dep":     forge("    outs:", "    deps: # b\n      - {path: \"a b, c: d\", hash: "+sum("b").String()+", size: 1, when: 1} # b\n    outs:"),
		"field of a tool":    forge("    outs:", "    tools: # b\n      - {cmd: make, hash: "+sum("b").String()+", size: 1, exit: 1} # b\n    outs:"),
		"another list":       forge("    outs:", "    volumes: # b\n      - {path: cc} # b\n    outs:"),
		"field of an image":  forge("    outs:", "    images: # b\n      - {name: alpine, answer: \"sha256:"+sum("b").Hex()+"\", platform: linux} # b\n    outs:"),
		"answer of an image": forge("    outs:", "    images: # b\n      - {name: alpine, answer: \"sha3:"+sum("b").Hex()+"\"} # b\n    outs:"),
		"answer of a URL":    forge("    outs:", "    urls: # b\n      - {name: \"https://h/x\", answer: \"sha256:"+sum("b").Hex()+"\"} # b\n    outs:"),
		"kind of an out":     forge("path: out", "path: out, kind: image"),
		"glob of an out":     forge("path: out", "path: out, kind: glob"),
		"top of an out":      forge("path: out", "path: out, kind: topdir"),
		"key":                forge("key: k1:", "key: k2:"),
		"hash":               forge("hash: blake3:", "hash: sha3:"),
		"and not in form":    forge("size: 1}", "size:  1, mode: 493}"),
		"field of a source":  head + forged(sourceBlock("lib"), "    git:", "    depth: 1\n    git:"),
		"commit of a source": head + forged(sourceBlock("lib"), "commit: ", "commit: sha3:"),
	}
}

func TestANewerVersionsLockIsNotADamagedOne(t *testing.T) {
	var said strings.Builder
	lock := newers()
	for _, name := range sortedKeys(lock) {
		f, err := Parse(FileName, []byte(lock[name]))
		if !diag.Is(err, diag.Policy) {
			t.Errorf("%s: %+v, %v", name, f, err)
			continue
		}
		e := diag.All(err)[0]
		fmt.Fprintf(&said, "%s: %s (%s)\n", name, e, e.Hint)
		if strings.Contains(e.Hint, "checkout") || strings.Contains(e.Hint, "delete") {
			t.Errorf("%s: the hint would lose what the newer version wrote: %s", name, e.Hint)
		}
	}
	golden(t, "newer.txt", []byte(said.String()))
	// The sum is looked at first.
	damaged := strings.Replace(lock["field"], "colour: red", "colour: blue", 1)
	if f, err := Parse(FileName, []byte(damaged)); err != nil || !slices.Equal(namesOf(f), []string{"a"}) {
		t.Errorf("a damaged block was taken for a newer one: %+v, %v", f, err)
	}
}

func TestWhatIsNoLockIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"words": "hello\n", "DVC's lock": "schema: '2.0'\nstages: {}\n", "a comment": "# hello\n", "JSON": `{"schema": 1}`,
		"markers alone": "<<<<<<< a\n=======\n>>>>>>> b\n", "an old schema": "schema: 0\n",
		"another form of it": "schema: 01\n", "no number": "schema: 2x\n",
	} {
		f, err := Parse(FileName, []byte(text))
		if !diag.Is(err, diag.Usage) || err.Error() != "pipe.lock:1:1: is not a pipe.lock file" || diag.All(err)[0].Hint == "" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if _, err := Parse(FileName, make([]byte, MaxSize+1)); !diag.Is(err, diag.Usage) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func TestOfOneKeyTheLatestDeliberateRebuildCounts(t *testing.T) {
	block := func(key string, generation int, out string) string {
		s := small("a")
		s.Key, s.Generation, s.Outs[0].Digest = keyOf(key), generation, sum(out)
		return string(s.append(nil))
	}
	for name, c := range map[string]struct {
		blocks []string
		want   string
	}{
		"the later":        {[]string{block("k", 1, "1"), block("k", 2, "2")}, block("k", 2, "2")},
		"the former":       {[]string{block("k", 2, "2"), block("k", 1, "1")}, block("k", 2, "2")},
		"three":            {[]string{block("k", 1, "1"), block("k", 1, "x"), block("k", 2, "2")}, block("k", 2, "2")},
		"equal, in doubt":  {[]string{block("k", 1, "1"), block("k", 1, "2")}, ""},
		"doubt at the top": {[]string{block("k", 2, "1"), block("k", 1, "2"), block("k", 2, "3")}, ""},
		"two keys":         {[]string{block("k", 1, "1"), block("l", 2, "1")}, ""},
		"two keys, later":  {[]string{block("k", 1, "1"), block("k", 2, "1"), block("l", 3, "1")}, ""},
	} {
		f, err := Parse(FileName, []byte(head+strings.Join(c.blocks, "")))
		if err != nil || bytesOf(f.Stage("a")) != c.want || (c.want == "") != (len(f.Absent) == 1) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestFieldsBeginningWithXAreKept(t *testing.T) {
	block := forged(string(example().Stages[0].append(nil)), "sha256: "+strings.Repeat("ab", 32)+"}", "sha256: "+strings.Repeat("ab", 32)+", x-a: 1.5, x-b: \"} ü,\"}")
	block = forged(block, "size: 120}", "size: 120, x-mode: 0o755}")
	block = forged(block, "files: 1} # build\n", "files: 1} # build\n    x-note: anything, even {this}\n    x-tools:\n      - cc\n\x20      deeper: 1\n")
	lock := head + block
	f, err := Parse(FileName, []byte(lock))
	if err != nil || len(f.Absent) > 0 || len(f.Stages) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	if got := string(f.Encode()); got != lock {
		t.Errorf("written again as\n%s", got)
	}
	want := example().Stages[0]
	got := f.Stages[0]
	got.raw = ""
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// They say something of what was read: with it they go.
	f.Stages[0].Outs[0].Digest = sum("rebuilt")
	if got := f.Encode(); bytes.Contains(got, []byte("x-")) {
		t.Errorf("a changed stage keeps them:\n%s", got)
	}
	f.Set(want)
	if got := f.Encode(); bytes.Contains(got, []byte("x-")) {
		t.Errorf("a stage put in its place keeps them:\n%s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example().Encode())
	f.Add([]byte(head))
	f.Add(withSources().Encode())
	f.Add([]byte(head + forged(blockOf("b"), "size: 1} # b\n", "size: 1, x-a: 1}\n    x-b:\n      - 1\n")))
	for _, lock := range damages() {
		if len(lock) < maxLine {
			f.Add([]byte(lock))
		}
	}
	for _, lock := range newers() {
		f.Add([]byte(lock))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzOne(t, data)
		fuzzOne(t, sealed(data))
	})
}

// fuzzOne holds what is believed of any bytes against the bytes.
func fuzzOne(t *testing.T, data []byte) {
	t.Helper()
	got, err := Parse(FileName, data)
	if err != nil {
		return
	}
	again, err := Parse(FileName, got.Encode())
	if err != nil || len(again.Absent) > 0 || !reflect.DeepEqual(again.Stages, got.Stages) || !reflect.DeepEqual(again.Sources, got.Sources) {
		t.Fatalf("%v\nread  %+v\nagain %+v", err, got, again)
	}
	lf := append(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), '\n')
	for i := range got.Stages {
		if b := got.Stages[i].append(nil); !bytes.Contains(lf, b) {
			t.Fatalf("a block that is not in the file, or whose sum is wrong:\n%s\n%s", b, data)
		}
	}
	for i := range got.Sources {
		if b := got.Sources[i].append(nil); !bytes.Contains(lf, b) {
			t.Fatalf("a source that is not in the file, or whose sum is wrong:\n%s\n%s", b, data)
		}
	}
}

// sealed gives every block the sum that fits, so that a fuzzer comes as far as its form.
func sealed(data []byte) []byte {
	blocks := regexp.MustCompile(`(?ms)^(  # begin [^\n]*\n)(.*?)^    sum: [^\n]*\n`)
	return blocks.ReplaceAllFunc(data, func(b []byte) []byte {
		m := blocks.FindSubmatch(b)
		s := sumOf(m[2])
		return fmt.Appendf(nil, "%s%s%s%s\n", m[1], m[2], sumField, s[:])
	})
}
