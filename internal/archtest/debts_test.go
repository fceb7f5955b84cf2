package archtest

// What broke a rule when the rule came, and by how much. These lists may only shrink.

var tooLong = map[string]int{
	"cmd/pipe/kill_test.go": 774,
	"cmd/pipe/kill_test.go TestKilledInTheMiddleOfAStageTheNextRunFinishes": 73,
	"internal/object/tree_test.go invalid":                                  94,
	"internal/spec/project_test.go TestAWholeFileIsRead":                    65,
	"internal/store/s3/proxy_test.go":                                       434,
	"internal/worktree/scan.go":                                             408,
	"internal/worktree/worktree_test.go":                                    743,
	"pkg/lockfile/lockfile_test.go":                                         461,
	"pkg/pipe/example_test.go Example":                                      64,
	"pkg/pipe/look.go":                                                      477,
	"pkg/pipe/property_test.go TestAnyGraph":                                71,
}

var namesInternal = map[string]int{}

var withoutComment = map[string]int{
	"pkg/event Counts":     4,
	"pkg/event Event":      13,
	"pkg/event Reason":     4,
	"pkg/lockfile Env":     2,
	"pkg/lockfile Param":   2,
	"pkg/lockfile Stage":   2,
	"pkg/pipe Artifact":    10,
	"pkg/pipe Change":      2,
	"pkg/pipe Check":       4,
	"pkg/pipe Commit":      4,
	"pkg/pipe Committed":   1,
	"pkg/pipe Found":       3,
	"pkg/pipe Garbage":     4,
	"pkg/pipe GraphStage":  4,
	"pkg/pipe Hashed":      3,
	"pkg/pipe Initialized": 2,
	"pkg/pipe Live":        5,
	"pkg/pipe OutStatus":   3,
	"pkg/pipe Problem":     3,
	"pkg/pipe RemoteInfo":  5,
	"pkg/pipe Result":      2,
	"pkg/pipe StageResult": 6,
	"pkg/pipe Status":      1,
	"pkg/pipe SyncOut":     1,
	"pkg/pipe SyncResult":  2,
	"pkg/pipe Verified":    4,
}
