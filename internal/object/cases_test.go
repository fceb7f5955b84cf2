package object

import (
	"fmt"
	"maps"
	"strings"

	"github.com/pipe-build/pipe/pkg/repopath"
)

// valid are trees that every reader must take.
func valid() map[string]*Tree {
	return map[string]*Tree{
		"empty":             tree(),
		"one-file":          tree(file("a", "hello\n")),
		"every-kind":        tree(executable("bin/run", "#!/bin/sh\n"), link("bin/sh", "run"), dir("empty"), dir("nested/empty"), file("readme", ""), link("top", "bin/run"), link("up/here", "../bin")),
		"same-bytes-twice":  tree(file("a", "x"), file("b", "x")),
		"bytes-not-locale":  tree(file("B", "1"), file("a", "2"), file("a-b", "3"), file("a.", "4"), file("a0", "5"), file("é", "6")),
		"names":             tree(file(` leading space`, "1"), file(`'quoted': [x] #`, "2"), file("...", "5"), file("..x", "3"), file(".gitignore", "4"), file("日本/😀", "6")),
		"quoted":            tree(file("\x01", "1"), file("\x1b[2J", "2"), file(`"`, "3"), file(`\`, "4"), file("a\tb\bc\fd\re", "6"), file("a\nb", "5"), file("del\x7f/é", "7"), file(`x\y/z`, "8")),
		"quoted-target":     tree(link("a", "x\ty"), link("b", `x\y`), link("c", `./"`)),
		"names-that-fold":   tree(file("A", "1"), file("STRASSE", "2"), file("a", "3"), file("d/x", "4"), file("e\u0301", "5"), file("straße", "6"), file("é", "7")),
		"dirs-that-fold":    tree(file("A/x", "1"), file("B", "1"), file("a/y", "2"), file("b/y", "2"), file("e\u0301/a", "3"), file("é/b", "4")),
		"link-to-root":      tree(link("a/self", ".."), file("b", "1")),
		"link-to-nothing":   tree(link("dangling", "not/there")),
		"link-with-dot":     tree(file("a", "1"), link("b", "./a")),
		"large-size":        tree(Entry{Kind: File, Path: "huge", Digest: sum("huge"), Size: 1<<53 - 1}),
		"one-case-per-path": tree(file("A/x", "1"), file("A/y", "2")),
	}
}

func line(kind, hash, size, path string) string {
	return kind + "\t" + hash + "\t" + size + "\t" + path + "\n"
}

// newerTrees are bytes of a later version, whatever follows their first line.
func newerTrees() map[string]string {
	return map[string]string{"version-2": "pipe-tree 2\nanything", "version-10-alone": "pipe-tree 10\n"}
}

// invalid are bytes that every reader must refuse.
func invalid() map[string]string {
	all := invalidForms()
	maps.Copy(all, invalidPaths())
	return all
}

// files is a manifest with one file of one byte at each path.
func files(paths ...string) string {
	out := header
	for _, p := range paths {
		out += line("f", sum("x").Hex(), "1", p)
	}
	return out
}

func invalidForms() map[string]string {
	h, f := sum("x").Hex(), files
	return map[string]string{
		"nothing":                    "",
		"size-inexact":               header + line("f", h, "9007199254740992", "a"),
		"sizes-inexact-together":     header + line("f", h, "9007199254740991", "a") + line("x", h, "1", "b"),
		"header-missing":             line("f", h, "1", "a"),
		"header-of-version-0":        "pipe-tree 0\n" + line("f", h, "1", "a"),
		"header-of-version-02":       "pipe-tree 02\n" + line("f", h, "1", "a"),
		"header-without-newline":     "pipe-tree 1",
		"header-crlf":                "pipe-tree 1\r\n",
		"truncated-line":             strings.TrimSuffix(f("a"), "\n"),
		"truncated-digest":           header + line("f", h[:63], "1", "a"),
		"trailing-garbage":           f("a") + "garbage\n",
		"trailing-empty-line":        f("a") + "\n",
		"trailing-nul":               f("a") + "\x00",
		"crlf":                       header + "f\t" + h + "\t1\ta\r\n",
		"comment":                    header + "# a\n",
		"unsorted":                   f("b", "a"),
		"unsorted-by-locale":         f("a", "B"),
		"duplicate":                  f("a", "a"),
		"file-below-file":            f("a", "a/b"),
		"file-below-file-apart":      f("a", "a-b", "a/b"),
		"file-below-empty-dir":       header + "d\t-\t0\ta\n" + line("f", h, "1", "a/b"),
		"file-below-symlink":         header + line("l", sum("b").Hex(), "1", "a\tb") + line("f", h, "1", "a/x"),
		"file-with-target":           header + line("f", h, "1", "a\tb"),
		"kind-unknown":               header + line("p", h, "1", "a"),
		"kind-long":                  header + line("ff", h, "1", "a"),
		"kind-empty":                 header + line("", h, "1", "a"),
		"kind-nested":                header + line("t", h, "1", "a"),
		"dir-with-digest":            header + line("d", h, "0", "a"),
		"dir-with-size":              header + line("d", "-", "1", "a"),
		"digest-upper":               header + line("f", strings.ToUpper(h), "1", "a"),
		"digest-prefixed":            header + line("f", "blake3:"+h, "1", "a"),
		"digest-empty":               header + line("f", "", "1", "a"),
		"digest-dash":                header + line("f", "-", "1", "a"),
		"size-negative":              header + line("f", h, "-1", "a"),
		"size-plus":                  header + line("f", h, "+1", "a"),
		"size-leading-zero":          header + line("f", h, "01", "a"),
		"size-empty":                 header + line("f", h, "", "a"),
		"size-hex":                   header + line("f", h, "0x1", "a"),
		"size-overflow":              header + line("f", h, "9223372036854775808", "a"),
		"size-space":                 header + line("f", h, " 1", "a"),
		"fields-missing":             header + "f\t" + h + "\t1\n",
		"fields-separated-by-spaces": header + "f " + h + " 1 a\n",
	}
}

func invalidPaths() map[string]string {
	f := files
	l := func(path, target string) string {
		return header + line("l", sum(target).Hex(), fmt.Sprint(len(target)), path+"\t"+target)
	}
	return map[string]string{
		"path-up":                   f("../x"), // LESSONS 9
		"path-up-twice":             f("../../x"),
		"path-up-inside":            f("a/../../x"),
		"path-dot":                  f("."),
		"path-dot-inside":           f("a/./b"),
		"path-empty":                f(""),
		"path-empty-element":        f("a//b"),
		"path-trailing-slash":       f("a/"),
		"path-absolute":             f("/etc/passwd"),
		"path-git":                  f(".git/hooks/post-checkout"),
		"path-git-inside":           f("sub/.git/config"),
		"path-git-upper":            f(".GIT/config"),
		"path-git-mixed":            f(".Git"),
		"path-git-dot":              f(".git./config"),
		"path-git-short":            f("GIT~1/config"),
		"path-git-stream":           f(".git::$INDEX_ALLOCATION/config"),
		"path-git-ignorable":        f(".g\u200cit/config"),
		"path-backslash":            f(`a\b`),
		"path-raw-nul":              f("a\x00b"),
		"path-tab":                  f("a\tb"),
		"path-control":              f("a\x1bb"),
		"path-nul":                  f(`"a\u0000b"`),
		"path-quote":                f(`a"b`),
		"quoted-needlessly":         f(`"a"`),
		"quoted-escape":             f(`"a\u0009b"`),
		"quoted-slash":              f(`"a\/\tb"`),
		"quoted-upper-hex":          f(`"a\u001B"`),
		"quoted-surrogate":          f(`"\ud800\t"`),
		"quoted-twice":              f(`"a\t" "b"`),
		"quoted-open":               f(`"a\t`),
		"quoted-up":                 f(`"..\\x"`),
		"quoted-up-inside":          f(`"a\\..\\..\\x"`),
		"quoted-git":                f(`".git\\config"`),
		"quoted-up-slash":           f(`"../\t"`),
		"path-not-utf8":             f("a\xffb"),
		"path-too-long":             f(strings.Repeat("a", repopath.MaxLen+1)),
		"symlink-leaves":            l("a", "../x"),
		"symlink-leaves-deep":       l("a/b", "../../x"),
		"symlink-absolute":          l("a", "/etc/passwd"),
		"symlink-git":               l("a", ".git/config"),
		"symlink-up-behind-a-name":  l("a", "b/../c"),
		"symlink-to-nothing":        header + line("l", sum("").Hex(), "0", "a\t"),
		"symlink-control":           l("a", "b\x01/../c"),
		"symlink-backslash":         l("a", `..\x`),
		"symlink-quoted-up":         header + line("l", sum(`..\x`).Hex(), "4", "a\t"+`"..\\x"`),
		"symlink-quoted-needlessly": header + line("l", sum("b").Hex(), "1", "a\t"+`"b"`),
		"symlink-wrong-digest":      header + line("l", sum("c").Hex(), "1", "a\tb"),
		"symlink-wrong-size":        header + line("l", sum("b").Hex(), "2", "a\tb"),
		"symlink-without-target":    header + line("l", sum("b").Hex(), "1", "a"),
	}
}

// lists are inputs' lists that every reader must take.
func lists() map[string]*Tree {
	nested := Entry{Kind: Nested, Path: "gen/docs", Digest: sum("tree")}
	return map[string]*Tree{
		"nested":          tree(file("gen/api.h", "1"), nested, file("main.c", "2")),
		"names-that-fold": tree(file("A", "1"), file("a", "2")),
		"links":           tree(link("a", "x/../../y"), link("b", ".git/config")),
		"below-a-file":    tree(file("gen", "1"), nested),
	}
}

func invalidLists() map[string]string {
	h := sum("x").Hex()
	return map[string]string{
		"unsorted":         header + line("f", h, "1", "b") + line("f", h, "1", "a"),
		"duplicate":        header + line("f", h, "1", "a") + line("t", h, "0", "a"),
		"nested-with-size": header + line("t", h, "1", "a"),
		"empty-directory":  header + "d\t-\t0\ta\n",
		"path-up":          header + line("f", h, "1", "../a"),
		"quoted-needless":  header + line("f", h, "1", `"a"`),
	}
}
