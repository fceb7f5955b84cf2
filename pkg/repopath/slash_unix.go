//go:build !windows

package repopath

// toSlash leaves a path as it is: a backslash is a character of a file's name here, and Join
// refuses it.
func toSlash(s string) string { return s }
