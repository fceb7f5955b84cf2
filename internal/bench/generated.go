//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// generated compares stages that a matrix makes with the same ones written out: they should cost less
// than three times as much, and ten times as many ten times as much.
func (b *bench) generated() error {
	var list []competitor
	for _, kind := range []struct {
		name   string
		stages int
		text   string
	}{
		{"1,000 written", 1000, written(1000)},
		{"1,000 of a matrix", 1000, matrix(1000)},
		{"10,000 of a matrix", 10_000, matrix(10_000)},
	} {
		dir := filepath.Join(b.dir, strings.ReplaceAll(kind.name, " ", "-"))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "pipe.yaml"), []byte(kind.text), 0o666); err != nil {
			return err
		}
		if _, _, err := command(dir, b.pipe, "repro", "-q")(); err != nil {
			return err
		}
		list = append(list, competitor{"plan, " + kind.name, command(dir, b.pipe, "plan", "-q")}, competitor{"repro, " + kind.name, command(dir, b.pipe, "repro", "-q")})
	}
	return b.race("generated stages, nothing to do", list...)
}

// written are n stages, each written out.
func written(n int) string {
	var b strings.Builder
	b.WriteString("stages:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s@%d-%d: {cmd: \"echo %d %d > out/%d-%d\", deps: [pipe.yaml], outs: [out/%d-%d]}\n", i/10, i%10, i/10, i%10, i/10, i%10, i/10, i%10)
	}
	return b.String()
}

// matrix makes the same n stages of two lists.
func matrix(n int) string {
	list := func(n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprint(i)
		}
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("stages:\n  s:\n    matrix: {x: [%s], y: [%s]}\n    cmd: echo ${item.x} ${item.y} > out/${key}\n    deps: [pipe.yaml]\n    outs: [\"out/${key}\"]\n", list(n/10), list(10))
}
