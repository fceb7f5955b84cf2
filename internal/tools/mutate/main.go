// Command mutate breaks the code in one small place at a time and tells which breaks no test notices.
//
// It changes nothing in the tree: each mutant reaches the compiler by -overlay.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

type options struct {
	also, changed   string
	workers, sample int
	asJSON          bool
}

func main() {
	var o options
	flag.StringVar(&o.also, "also", "", "comma-separated `packages` whose tests may kill too, tried after the package's own")
	flag.StringVar(&o.changed, "changed", "", "only lines changed since this git `revision`")
	flag.IntVar(&o.workers, "j", 2, "mutants tried at a time")
	flag.IntVar(&o.sample, "sample", 0, "at most this many mutants a package, always the same ones; 0 is all")
	flag.BoolVar(&o.asJSON, "json", false, "print all mutants as JSON")
	flag.Parse()
	if err := run(o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(o options, patterns []string) error {
	pkgs, err := load(patterns)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	all := map[string][]*mutant{}
	table := fmt.Sprintf("\n%-32s %6s %6s %7s %11s %7s\n", "package", "killed", "total", "percent", "not covered", "seconds")
	report := io.Writer(os.Stdout)
	if o.asJSON {
		report = io.Discard
	}
	for _, p := range pkgs {
		start := time.Now()
		ms, err := p.try(o, tmp)
		if err != nil {
			return fmt.Errorf("%s: %w", p.ImportPath, err)
		}
		all[p.Dir] = ms
		killed, uncovered := 0, 0
		for _, m := range ms {
			switch {
			case m.KilledBy != "":
				killed++
				continue
			case !m.Covered:
				uncovered++
				m.What += " (not covered)"
			}
			fmt.Fprintf(report, "%s:%d:%d: %s\n", m.File, m.Line, m.Column, m.What)
		}
		table += fmt.Sprintf("%-32s %6d %6d %6d%% %11d %7.0f\n", p.Dir, killed, len(ms), 100*killed/max(1, len(ms)), uncovered, time.Since(start).Seconds())
	}
	if o.asJSON {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	_, err = fmt.Print(table)
	return err
}

// try runs the tests once as they are, to see that they pass and what they cover,
// and then for each mutant, one suite after the other until one fails.
func (p *pkg) try(o options, tmp string) ([]*mutant, error) {
	ms, err := p.mutants(o)
	if err != nil || len(ms) == 0 {
		return nil, err
	}
	var suites []*suite
	for _, name := range append([]string{p.ImportPath}, strings.FieldsFunc(o.also, func(c rune) bool { return c == ',' })...) {
		s, err := newSuite(name, p.ImportPath, filepath.Join(tmp, "cover"))
		if err != nil {
			return nil, err
		}
		suites = append(suites, s)
	}
	next, faults, wg := make(chan *mutant), make([]error, o.workers), sync.WaitGroup{}
	for w := range o.workers {
		dir := filepath.Join(tmp, fmt.Sprint(w))
		wg.Go(func() {
			for m := range next {
				faults[w] = errors.Join(faults[w], m.try(suites, dir))
			}
		})
	}
	for _, m := range ms {
		next <- m
	}
	close(next)
	wg.Wait()
	ms = slices.DeleteFunc(ms, func(m *mutant) bool { return m.KilledBy == noBuild })
	return ms, errors.Join(faults...)
}

func (m *mutant) try(suites []*suite, dir string) error {
	file, overlay := filepath.Join(dir, filepath.Base(m.File)), filepath.Join(dir, "overlay.json")
	j, err := json.Marshal(map[string]any{"Replace": map[string]string{m.File: file}})
	if err := errors.Join(err, os.MkdirAll(dir, 0o700), os.WriteFile(file, m.code(), 0o600), os.WriteFile(overlay, j, 0o600)); err != nil {
		return err
	}
	for _, s := range suites {
		if m.KilledBy == "" && s.covers(m) {
			m.Covered, m.KilledBy = true, s.kills(overlay)
		}
	}
	return nil
}

// noBuild stands for a killer where the mutant does not compile, and so is none.
const noBuild = "the compiler"

// suite is the tests of one package, and what they visit of the code that is mutated.
type suite struct {
	name    string
	args    []string
	timeout time.Duration
	blocks  []block
}

// block is a stretch of code in a coverage profile.
type block struct {
	file                                        string
	line, col, endLine, endCol, statements, hit int
}

func newSuite(name, mutated, profile string) (*suite, error) {
	start := time.Now()
	out, err := exec.Command("go", "test", "-count=1", "-short", "-vet=off", "-coverprofile", profile, "-coverpkg", mutated, name).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("the tests fail without a mutant: %w\n%s", err, out)
	}
	s := &suite{name: name, args: []string{name}, timeout: 20*time.Second + 3*time.Since(start)}
	deps, err := exec.Command("go", "list", "-deps", "-test", name).Output()
	if bytes.Contains(deps, []byte("pgregory.net/rapid\n")) {
		s.args = append(s.args, "-rapid.nofailfile") // else rapid writes what failed into the tree
	}
	b, readErr := os.ReadFile(profile)
	for l := range strings.Lines(string(b)) {
		var k block
		file, rest, _ := strings.Cut(l, ".go:")
		if n, _ := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &k.line, &k.col, &k.endLine, &k.endCol, &k.statements, &k.hit); n == 6 {
			k.file = filepath.Base(file) + ".go"
			s.blocks = append(s.blocks, k)
		}
	}
	return s, errors.Join(err, readErr)
}

// covers reports whether a test visits the mutant's innermost block. The profile has no
// blocks for package variables and for conditions of cases: those count as visited.
func (s *suite) covers(m *mutant) bool {
	var in block
	hits := 0
	for _, k := range s.blocks {
		hits += k.hit
		after := m.Line > k.line || m.Line == k.line && m.Column >= k.col
		before := m.Line < k.endLine || m.Line == k.endLine && m.Column < k.endCol
		if k.file == filepath.Base(m.File) && after && before && (k.line > in.line || k.line == in.line && k.col > in.col) {
			in = k
		}
	}
	return in.hit > 0 || in.line == 0 && hits > 0
}

// kills returns the suite's name when a test fails or hangs with the mutant.
func (s *suite) kills(overlay string) string {
	c := exec.Command("go", append([]string{"test", "-overlay", overlay, "-count=1", "-short", "-failfast", "-vet=off", "-timeout", s.timeout.String()}, s.args...)...)
	c.WaitDelay = 10 * time.Second // for a child that outlives its test and holds the pipe
	out, err := c.CombinedOutput()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return ""
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return noBuild
	}
	return s.name
}
