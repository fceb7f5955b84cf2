//go:build !windows

package main

import (
	"os"

	"golang.org/x/term"
)

// shows reports whether f is a terminal that understands control sequences.
func shows(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
