//go:build !windows

package repopath

func toSlash(s string) string { return s }
