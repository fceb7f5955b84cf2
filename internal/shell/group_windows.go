package shell

import (
	"os"
	"os/exec"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"
)

// setGroup does nothing: taskkill finds a process's children by their parent.
func setGroup(*exec.Cmd, bool) {}

// inherit does nothing: Windows lets a process inherit three files. The lock of a killed
// pipe is free there while its command still works.
func inherit(*exec.Cmd, *os.File) {}

func keepReader() {}

// adopt puts this process into a job that ends, with all that is in it, when the last handle
// to it is closed: at the latest when this process ends.
func adopt() error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		return err
	}
	return windows.AssignProcessToJobObject(job, windows.CurrentProcess())
}

// askGroup ends the command: Windows has no signals to pass on.
func askGroup(pid int, _ os.Signal) { killGroup(pid) }

// killGroup ends the process and its tree (/T), by force (/F).
func killGroup(pid int) {
	if pid > 0 {
		_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run()
	}
}

// killOne ends one process.
func killOne(pid int) { killGroup(pid) }

// signalName returns "": Windows knows exit codes alone.
func signalName(*os.ProcessState) string { return "" }
