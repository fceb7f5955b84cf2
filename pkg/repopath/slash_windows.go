package repopath

import "path/filepath"

func toSlash(s string) string { return filepath.ToSlash(s) }
