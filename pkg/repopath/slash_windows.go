package repopath

import "path/filepath"

// toSlash turns the system's separators into slashes.
func toSlash(s string) string { return filepath.ToSlash(s) }
