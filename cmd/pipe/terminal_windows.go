package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// shows reports whether f is a terminal that understands control sequences, which a console of
// Windows does only when it is asked to.
func shows(f *os.File) bool {
	var mode uint32
	h := windows.Handle(f.Fd())
	return windows.GetConsoleMode(h, &mode) == nil &&
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
