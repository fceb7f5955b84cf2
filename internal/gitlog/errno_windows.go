package gitlog

func isNotDir(error) bool { return false }
