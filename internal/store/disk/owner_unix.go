//go:build unix

package disk

import (
	"os"
	"syscall"
)

// owned reports whether this user may change a file's mode.
func owned(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(st.Uid) == os.Geteuid() || os.Geteuid() == 0)
}

// otherGroup returns the group of the root if a file has another one.
func otherGroup(info, root os.FileInfo) (gid int, ok bool) {
	is, ok := info.Sys().(*syscall.Stat_t)
	want, wok := root.Sys().(*syscall.Stat_t)
	if !ok || !wok {
		return 0, false
	}
	return int(want.Gid), is.Gid != want.Gid
}
