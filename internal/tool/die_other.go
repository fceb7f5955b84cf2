//go:build !linux

package tool

import "os/exec"

// dieWithParent needs Linux; elsewhere a killed test leaves its server behind.
func dieWithParent(*exec.Cmd) {}
