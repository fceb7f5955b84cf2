//go:build linux && amd64

package faults

import (
	"crypto/md5"
	"fmt"
)

// scenario is a verb in a world where it has something of everything to do.
type scenario struct {
	name    string
	prepare func(*world)
	verb    string
	exact   bool   // what the undisturbed run removes must be gone: gc
	begins  bool   // it makes the project, and refuses one that is there
	settle  string // what a user who wants all outputs runs in the end, disturbed or not
}

// project has a directory with a link, a file that never comes out twice alike, and a
// deployment that says at its beginning and at its end what it puts where.
const project = `project: shop
stages:
  files:
    cmd: |
      mkdir -p out/sub
      sed s/^/built:/ src > out/1
      cp src out/sub/2
      echo same > out/sub/same
      ln -s 1 out/link
    deps: [src]
    outs: [out]
  stamp:
    cmd: "{ cat src; cat /proc/sys/kernel/random/uuid; } > stamp"
    deps: [src]
    outs: [stamp]
  ship:
    deploy: true
    cmd: |
      echo begin >> $LIVE
      cat out/1 stamp >> $LIVE
      echo live $PIPE_HASH_OUT $PIPE_HASH_STAMP >> $LIVE
    deps: [out, stamp]
`

// project is pipe.yaml with the world's remote.
func (w *world) project() string { return "remote: " + w.remote() + "\n" + project }

const build = "pipe repro -j1 files stamp"

// scenarios are all verbs that change something. Those of onS3 need a remote and are
// swept on S3 too.
func scenarios() []*scenario { return append(builds(), append(onS3(), others()...)...) }

func builds() []*scenario {
	return []*scenario{
		{name: "repro", verb: "repro -j1 files stamp", prepare: func(w *world) {
			w.begin(build)
			w.write("out/1", "an edit of an output\n")
			w.write("src", "version 2\n")
		}},
		{name: "repro-push", verb: "repro -j1 --push files stamp", prepare: func(w *world) {
			w.begin(build + " --push")
			w.write("src", "version 2\n")
		}},
		{name: "restore", verb: "repro -j1 files stamp", prepare: func(w *world) {
			w.begin(build)
			w.write("src", "version 2\n")
			w.do(build)
			w.write("out/1", "an edit of an output\n")
			w.write("src", "version 1\n")
		}},
	}
}

func onS3() []*scenario {
	return []*scenario{
		{name: "deploy", verb: "repro -j1", prepare: func(w *world) {
			w.begin("pipe repro -j1")
			w.write("src", "version 2\n")
			w.do(build)
		}},
		{name: "push", verb: "push", prepare: func(w *world) {
			w.begin(build)
			w.do("pipe push")
			w.write("src", "version 2\n")
			w.do(build)
		}},
		{name: "pull", verb: "pull", prepare: func(w *world) {
			w.begin(build + " --push")
			w.remove(".pipe", "out", "stamp")
		}},
	}
}

func others() []*scenario {
	return []*scenario{
		{name: "checkout", verb: "checkout", prepare: func(w *world) {
			w.begin(build)
			w.write("out/1", "an edit of an output\n")
			w.remove("stamp", "out/sub")
		}},
		{name: "add", verb: "add raw data", prepare: func(w *world) {
			w.begin(build)
			w.write("raw", "one\n")
			w.do("pipe add raw")
			w.write("raw", "two\n")
			w.do("mkdir -p data/sub", "ln -s sub/x data/link")
			w.write("data/sub/x", "x\n")
		}},
		{name: "checkout-part", verb: "checkout", prepare: func(w *world) {
			w.begin(build)
			w.write("out/sub/2", "an edit in a directory\n")
			w.write("out/sub/more", "a file too many\n")
		}},
		{name: "checkout-file", verb: "checkout", prepare: func(w *world) {
			w.begin(build)
			w.remove("out/sub/2")
		}},
		{name: "gc", verb: "gc --yes", exact: true, prepare: func(w *world) {
			w.begin(build)
			for _, v := range []string{"2", "3"} { // 2 is in no lock
				w.write("src", "version "+v+"\n")
				w.do(build)
			}
			w.do("find .pipe/cache -exec touch -d yesterday {} +")
		}},
		{name: "find", verb: "find 5b6d48c6 -o ../got", prepare: func(w *world) {
			w.begin(build + " --push")
			w.remove(".pipe", "out")
		}},
		{name: "update", verb: "update", prepare: func(w *world) {
			w.begin(build)
			w.do("mkdir -p ../api/d ../api/new")
			w.write("../api/kept", "one\n")
			w.write("../api/d/gone", "one\n")
			w.do("git -C ../api init -q --template= -b main", "git -C ../api add .", "git -C ../api commit -q -m First")
			w.write("pipe.yaml", w.project()+"sources:\n  lib/api: {git: ../api, ref: main}\n")
			w.do("pipe update", "git add .", "git commit -q -m Sources")
			w.write("lib/api/made", "by a build\n")
			w.write("../api/kept", "two\n")
			w.write("../api/new/file", "two\n")
			w.do("git -C ../api rm -q d/gone", "git -C ../api add .", "git -C ../api commit -q -m Second")
		}},
		{name: "import", verb: "import dvc", begins: true, prepare: (*world).beginDVC},
		{name: "lock-commit", verb: "lock commit -m Built", prepare: func(w *world) {
			w.begin(build + " --push")
			w.write("src", "version 2\n")
			w.do(build+" --push", "git add src")
			w.write("src", "version 3\n")
			w.write("pipe.yaml", w.project()+"# more\n")
		}},
	}
}

// beginDVC makes a repository of DVC, with data in the workspace, in DVC's cache and in its remote.
func (w *world) beginDVC() {
	w.t.Helper()
	w.do("git config --global user.name Test", "git config --global user.email test@example.invalid", "git config --global gc.auto 0",
		"git init -q --template= -b main", "mkdir -p .dvc sub")
	name := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	object := func(place, name, text string) {
		at := place + "/files/md5/" + name[:2]
		w.do("mkdir -p " + at)
		w.write(at+"/"+name[2:], text)
	}
	item := func(path, md5 string) string { return "    - {path: " + path + ", hash: md5, md5: " + md5 + "}\n" }
	data, out, far := "data\n", "out\n", "far\n"
	list := `[{"md5": "` + name(far) + `", "relpath": "a/b"}]`
	dir := name(list) + ".dir"
	object(".dvc/cache", name(data), data)
	object("../dvc", name(far), far)
	object("../dvc", dir, list)
	w.write(".dvc/config", "[core]\nremote = r\n['remote \"r\"']\nurl = ../../dvc\n")
	w.write(".gitignore", "/data\n/out\n/far\n/.dvc/cache\n")
	w.write(".dvcignore", "*.swp\n")
	w.write("src", "version 1\n")
	w.write("data.dvc", "outs:\n- {path: data, hash: md5, md5: "+name(data)+"}\n")
	w.write("out", out)
	w.write("dvc.yaml", "stages:\n  out:\n    cmd: echo out > out\n    deps: [data]\n    outs: [out]\n  far:\n    cmd: mkdir -p far/a && echo far > far/a/b\n    deps: [out]\n    outs: [far]\n")
	w.write("dvc.lock", "schema: '2.0'\nstages:\n  out:\n    cmd: echo out > out\n    deps:\n"+item("data", name(data))+"    outs:\n"+item("out", name(out))+
		"  far:\n    cmd: mkdir -p far/a && echo far > far/a/b\n    deps:\n"+item("out", name(out))+"    outs:\n"+item("far", dir))
	w.write("sub/dvc.yaml", "stages:\n  s:\n    cmd: test -f ../out\n    deps: [../out]\n")
	w.write("sub/dvc.lock", "schema: '2.0'\nstages:\n  s:\n    cmd: test -f ../out\n    deps:\n"+item("../out", name(out)))
	w.do("git add -A", "git commit -q -m First")
}

// begin makes a repository with version 1 of everything, built by a command and committed.
func (w *world) begin(build string) {
	w.t.Helper()
	w.do("git config --global user.name Test", "git config --global user.email test@example.invalid", "git config --global gc.auto 0",
		"git init -q --template= -b main")
	w.write("pipe.yaml", w.project())
	w.write("src", "version 1\n")
	w.do("pipe init", build, "git add -A", "git commit -q -m First")
}
