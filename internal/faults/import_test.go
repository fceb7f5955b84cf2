//go:build linux && amd64

package faults

import (
	"crypto/md5"
	"fmt"
	"os"
)

// dvcStages is a dvc.yaml: one output lies in the workspace, one only in DVC's cache.
const dvcStages = `stages:
  files:
    cmd: mkdir -p out/sub; cp src out/1; echo two > out/sub/2
    deps: [src]
    outs: [out]
  stamp:
    cmd: cp src stamp
    deps: [src]
    outs: [stamp]
`

// dvcLock has the fields that DVC writes.
const dvcLock = `schema: '2.0'
stages:
  files:
    cmd: mkdir -p out/sub; cp src out/1; echo two > out/sub/2
    deps:
    - {path: src, hash: md5, md5: %s, size: 10}
    outs:
    - {path: out, hash: md5, md5: %s, size: 14, nfiles: 2}
  stamp:
    cmd: cp src stamp
    deps:
    - {path: src, hash: md5, md5: %s, size: 10}
    outs:
    - {path: stamp, hash: md5, md5: %s, size: 10}
`

// imports is the way over from DVC.
func imports() []*scenario {
	return []*scenario{{name: "import", verb: "import dvc --to ../remote", settle: "push", makes: true, prepare: func(w *world) {
		w.do("git config --global user.name Test", "git config --global user.email test@example.invalid", "git config --global gc.auto 0",
			"git init -q --template= -b main", "mkdir -p .dvc")
		w.write(".dvc/config", "")
		w.write(".gitignore", "/out\n/stamp\n/raw\n")
		w.write("src", "version 1\n")
		w.write("stamp", "version 1\n")
		w.write("raw", "data\n")
		w.write("dvc.yaml", dvcStages)
		src, two := w.dvcKeeps("version 1\n", ""), w.dvcKeeps("two\n", "")
		dir := w.dvcKeeps(fmt.Sprintf(`[{"md5": %q, "relpath": "1"}, {"md5": %q, "relpath": "sub/2"}]`, src, two), ".dir")
		w.write("raw.dvc", "outs:\n- {md5: "+w.dvcKeeps("data\n", "")+", size: 5, hash: md5, path: raw}\n")
		w.write("dvc.lock", fmt.Sprintf(dvcLock, src, dir, src, src))
		w.do("git add -A", "git commit -q -m First")
	}}}
}

// dvcKeeps puts bytes into DVC's cache, and returns DVC's name for them.
func (w *world) dvcKeeps(text, suffix string) string {
	w.t.Helper()
	sum := fmt.Sprintf("%x", md5.Sum([]byte(text)))
	must(w.t, os.MkdirAll(w.path("work", ".dvc/cache/files/md5", sum[:2]), 0o755))
	w.write(".dvc/cache/files/md5/"+sum[:2]+"/"+sum[2:]+suffix, text)
	return sum + suffix
}
