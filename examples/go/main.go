// Command greet prints a greeting.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
)

//go:embed greeting.txt
var greeting string

func main() { fmt.Println(greet(strings.Join(os.Args[1:], " "))) }

func greet(name string) string {
	if name == "" {
		name = "world"
	}
	return strings.TrimSpace(greeting) + ", " + name
}
