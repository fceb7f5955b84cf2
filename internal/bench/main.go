//go:build linux

// Command bench prints what pipe's operations cost, beside git, make and a bare walk.
//
// All competitors of a row run in turn, so that a busy machine slows them alike:
// compare the ratios, not the milliseconds.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	pipe := flag.String("pipe", "bin/pipe", "the binary to measure")
	rounds := flag.Int("rounds", 15, "runs of each competitor")
	big := flag.Int64("big", 2<<30, "bytes of the large artifact; 0: left out")
	flag.Parse()
	if err := run(*pipe, *rounds, *big); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(pipe string, rounds int, big int64) error {
	pipe, err := filepath.Abs(pipe)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pipe-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{pipe: pipe, dir: dir, rounds: rounds}
	return errors.Join(
		b.noop("10,000 files in 100 stages", 100, 100),
		b.noop("1,000 stages of 1 file", 1000, 1),
		b.generated(),
		b.firstRun(200),
		b.start(),
		b.large(big),
		b.watched(min(big, 512<<20)),
	)
}

type bench struct {
	pipe, dir string
	rounds    int
}

// competitor is one way to do the work.
type competitor struct {
	name string
	run  func() (time.Duration, int64, error) // time, peak memory in bytes
}

// race runs all competitors in turn, rounds times, and prints medians and the
// ratio to the first.
func (b *bench) race(title string, list ...competitor) error {
	times := make([][]time.Duration, len(list))
	peak := make([]int64, len(list))
	for range b.rounds {
		for i, c := range list {
			t, m, err := c.run()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", title, c.name, err)
			}
			times[i] = append(times[i], t)
			peak[i] = max(peak[i], m)
		}
	}
	fmt.Printf("\n%s (median of %d)\n", title, b.rounds)
	base := median(times[0])
	for i, c := range list {
		m := median(times[i])
		fmt.Printf("  %-22s %8.1f ms   %5.2f x", c.name, float64(m.Microseconds())/1000, float64(m)/float64(base))
		if peak[i] > 0 {
			fmt.Printf("   peak %4d MB", peak[i]/1e6)
		}
		fmt.Println()
	}
	return nil
}

func median(t []time.Duration) time.Duration {
	s := slices.Clone(t)
	slices.Sort(s)
	return s[len(s)/2]
}

// command measures one process, start to end.
func command(dir string, args ...string) func() (time.Duration, int64, error) {
	return func() (time.Duration, int64, error) {
		c := exec.Command(args[0], args[1:]...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_OPTIONAL_LOCKS=1")
		var out strings.Builder
		c.Stdout, c.Stderr = &out, &out
		began := time.Now()
		err := c.Run()
		took := time.Since(began)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out.String())
		}
		return took, c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024, nil
	}
}

// project makes a repository of stages with files each, for pipe and for make.
func (b *bench) project(name string, stages, files int) (string, error) {
	dir := filepath.Join(b.dir, name)
	var yaml, mk strings.Builder
	yaml.WriteString("stages:\n")
	mk.WriteString("all:")
	for s := range stages {
		fmt.Fprintf(&mk, " out/%d.mk", s)
	}
	mk.WriteString("\n")
	for s := range stages {
		src := filepath.Join(dir, "src", fmt.Sprint(s))
		if err := os.MkdirAll(src, 0o777); err != nil {
			return "", err
		}
		fmt.Fprintf(&yaml, "  s%d: {cmd: \"cat src/%d/* > out/%d\", deps: [src/%d/], outs: [out/%d]}\n", s, s, s, s, s)
		fmt.Fprintf(&mk, "out/%d.mk: $(wildcard src/%d/*)\n\tcat src/%d/* > $@\n", s, s, s)
		for f := range files {
			text := fmt.Sprintf("file %d of stage %d\n", f, s)
			if err := os.WriteFile(filepath.Join(src, fmt.Sprintf("f%03d.txt", f)), []byte(text), 0o666); err != nil {
				return "", err
			}
		}
	}
	for file, text := range map[string]string{"pipe.yaml": yaml.String(), "Makefile": mk.String(), ".gitignore": "/out/\n/.pipe/\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
			return "", err
		}
	}
	script := "git init -q && git add . && git -c user.name=b -c user.email=b@example.invalid commit -qm 1 && mkdir -p out"
	_, _, err := command(dir, "sh", "-c", script)()
	return dir, err
}

func (b *bench) noop(title string, stages, files int) error {
	dir, err := b.project(strings.ReplaceAll(title, " ", "-"), stages, files)
	if err != nil {
		return err
	}
	for _, warm := range [][]string{{b.pipe, "repro", "-q"}, {"make", "-s"}, {b.pipe, "repro", "-q"}, {b.pipe, "repro", "-q"}, {"git", "status", "--short"}} {
		if _, _, err := command(dir, warm...)(); err != nil {
			return err
		}
	}
	return b.race("no-op, "+title,
		competitor{"git status", command(dir, "git", "status", "--short")},
		competitor{"pipe repro", command(dir, b.pipe, "repro", "-q")},
		competitor{"pipe plan", command(dir, b.pipe, "plan", "-q")},
		competitor{"make -rR", command(dir, "make", "-rRs")},
		competitor{"walk and lstat", func() (time.Duration, int64, error) { return walk(filepath.Join(dir, "src")) }},
	)
}

// walk is the least that any tool must do: list and lstat every file.
func walk(dir string) (time.Duration, int64, error) {
	began := time.Now()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		_, err = os.Lstat(path)
		return err
	})
	return time.Since(began), 0, err
}

// firstRun measures many trivial stages, each time from nothing, beside the bare
// shells that they need.
func (b *bench) firstRun(stages int) error {
	dir, err := b.project("first", stages, 1)
	if err != nil {
		return err
	}
	clean := func(args ...string) func() (time.Duration, int64, error) {
		measured := command(dir, args...)
		return func() (time.Duration, int64, error) {
			err := errors.Join(os.RemoveAll(filepath.Join(dir, ".pipe")), os.RemoveAll(filepath.Join(dir, "pipe.lock")), os.RemoveAll(filepath.Join(dir, "out")), os.Mkdir(filepath.Join(dir, "out"), 0o777))
			if err != nil {
				return 0, 0, err
			}
			return measured()
		}
	}
	loop := fmt.Sprintf("i=0; while test $i -lt %d; do sh -ec \"cat src/$i/* > out/$i\"; i=$((i+1)); done", stages)
	return b.race(fmt.Sprintf("first run of %d trivial stages", stages),
		competitor{"make -j2", clean("make", "-rRs", "-j2")},
		competitor{"pipe repro", clean(b.pipe, "repro", "-q")},
		competitor{"a shell loop", clean("sh", "-c", loop)},
	)
}

func (b *bench) start() error {
	return b.race("start-up",
		competitor{"git version", command(b.dir, "git", "version")},
		competitor{"pipe version", command(b.dir, b.pipe, "version")},
	)
}

// large pushes and pulls one large artifact once: its peak memory is the figure.
func (b *bench) large(size int64) error {
	if size == 0 {
		return nil
	}
	dir := filepath.Join(b.dir, "large")
	remote := filepath.Join(b.dir, "remote")
	yaml := fmt.Sprintf("remote: %s\nstages:\n  big: {cmd: \"head -c %d /dev/urandom > big.bin\", outs: [big.bin]}\n", remote, size)
	yaml = strings.Replace(yaml, "outs: [big.bin]", "deps: [pipe.yaml], outs: [big.bin]", 1)
	err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, "pipe.yaml"), []byte(yaml), 0o666))
	if err != nil {
		return err
	}
	rounds := b.rounds
	b.rounds = 1
	defer func() { b.rounds = rounds }()
	return b.race(fmt.Sprintf("an artifact of %d MB", size/1e6),
		competitor{"pipe repro", command(dir, b.pipe, "repro", "-q")},
		competitor{"pipe push", command(dir, b.pipe, "push")},
		competitor{"remove it here", command(dir, "rm", "-rf", ".pipe", "big.bin")},
		competitor{"pipe pull", command(dir, b.pipe, "pull")},
		competitor{"cp, twice", command(dir, "sh", "-c", "cp big.bin copy1 && cp big.bin copy2 && rm copy1 copy2")},
	)
}

// watched pulls an artifact on a terminal, each time from nothing, with a live line and without:
// the line should cost less than 1 %.
func (b *bench) watched(size int64) error {
	if size == 0 {
		return nil
	}
	dir := filepath.Join(b.dir, "watched")
	yaml := "remote: ../shared\nstages:\n  big: {cmd: \"head -c %d /dev/urandom > big.bin\", deps: [pipe.yaml], outs: [big.bin]}\n"
	err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, "pipe.yaml"), fmt.Appendf(nil, yaml, size), 0o666))
	if err == nil {
		_, _, err = command(dir, b.pipe, "repro", "-q", "--push")()
	}
	if err != nil {
		return err
	}
	pull := func(terminal string) func() (time.Duration, int64, error) {
		measured := command(dir, "env", "CI=", "TERM="+terminal, "script", "-qec", b.pipe+" pull", "/dev/null")
		return func() (time.Duration, int64, error) {
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, ".pipe")), os.Remove(filepath.Join(dir, "big.bin"))); err != nil {
				return 0, 0, err
			}
			return measured()
		}
	}
	return b.race(fmt.Sprintf("pull of %d MB on a terminal", size/1e6),
		competitor{"without a live line", pull("dumb")},
		competitor{"with a live line", pull("xterm")},
	)
}
