package shell

import (
	"os"
	"os/exec"
	"strconv"
)

// setGroup does nothing: taskkill finds a process's children by their parent.
func setGroup(*exec.Cmd) {}

// askGroup ends the command: Windows has no signals to pass on.
func askGroup(pid int, _ os.Signal) { killGroup(pid) }

// killGroup ends the process and its tree (/T), by force (/F).
func killGroup(pid int) { _ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run() }

// signalName returns "": Windows knows exit codes alone.
func signalName(*os.ProcessState) string { return "" }
