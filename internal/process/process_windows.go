package process

import "os"

// GroupAlive reports whether the process is there.
func GroupAlive(pid int) bool { return Alive(pid) }

// Alive reports whether the process is there.
func Alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release()
	return true
}

// Ancestry returns nothing, nor does Holders: commands inherit no lock here.
func Ancestry() []Process { return nil }

// Holders returns nothing.
func Holders(os.FileInfo) []Process { return nil }

// Descendants returns nothing: a job object ends them there.
func Descendants(int) []Process { return nil }
