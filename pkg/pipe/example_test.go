package pipe_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/pipe-build/pipe/pkg/pipe"
)

const project = `
stages:
  upper:
    cmd: tr a-z A-Z < greeting > loud
    deps: [greeting]
    outs: [loud]
  count:
    cmd: wc -c < loud > size
    deps: [loud]
    outs: [size]
`

// A program plans a project, runs it, and runs it again.
func Example() {
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, text := range map[string]string{"pipe.yaml": project, "greeting": "hello\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			log.Fatal(err)
		}
	}

	ctx := context.Background()
	p, err := pipe.Open(ctx, pipe.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	show := func(title string, r *pipe.Result, err error) {
		if err != nil {
			for _, problem := range pipe.Describe(err) {
				fmt.Println(problem.Place, problem.Message, problem.Hint)
			}
			return
		}
		fmt.Println(title)
		for _, s := range r.Stages {
			fmt.Printf("  %s: %s (%s)\n", s.Stage, s.Verb, s.Because[0])
		}
	}

	plan, err := p.Plan(ctx, pipe.ReproOptions{})
	show("plan", plan, err)
	result, err := p.Repro(ctx, pipe.ReproOptions{Jobs: 2})
	show("first run", result, err)
	result, err = p.Repro(ctx, pipe.ReproOptions{Jobs: 2})
	show("second run", result, err)
	fmt.Println(result.Stages[0].Outs[0].Digest)

	// Output:
	// plan
	//   upper: run (never ran)
	//   count: depends (upper must run first)
	// first run
	//   upper: run (never ran)
	//   count: run (never ran)
	// second run
	//   upper: skip (nothing changed)
	//   count: skip (nothing changed)
	// blake3:5b4b3e31fa19b2461d4cc2be4c3f78030be2a70cd574c12bb37d992f59c264f2
}
