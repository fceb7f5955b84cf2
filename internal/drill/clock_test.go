//go:build linux

package drill

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shifted builds a pipe whose clock is off by DRILL_CLOCK seconds.
func shifted(t *testing.T) (program string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	src, dir := filepath.Join(strings.TrimSpace(string(root)), "src", "time"), t.TempDir()
	b, err := os.ReadFile(filepath.Join(src, "time.go"))
	must(t, err)
	const read = "sec, nsec, mono := runtimeNow()\n"
	text := strings.Replace(string(b), read, read+"\tsec += drillClock\n", 1)
	if text == string(b) {
		t.Fatal("the Go library reads the clock in another way")
	}
	files := map[string]string{
		"time.go": text,
		"drill.go": `package time

import "syscall"

var drillClock = func() int64 {
	s, _ := syscall.Getenv("DRILL_CLOCK")
	n, _ := atoi(s)
	return int64(n)
}()
`,
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for name, text := range files {
		overlay.Replace[filepath.Join(src, name)] = filepath.Join(dir, name)
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
	b, err = json.Marshal(overlay)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "overlay"), b, 0o666))
	program = filepath.Join(dir, "pipe")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay"), "-o", program, "../../cmd/pipe").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	return program
}

// The clocks of those who deploy differ by 20 days, and nothing else does. S3 servers refuse such
// clocks before pipe has a say, so the remote is a directory.
func TestWrongClocksMakeNoDifference(t *testing.T) {
	t.Parallel()
	if os.Getenv("PIPE_SOAK") == "" {
		return // the whole Go library is built for it; package lease tests with clocks of its own
	}
	program := shifted(t)
	for _, days := range []string{"864000", "-864000"} {
		t.Run(days, func(t *testing.T) {
			t.Parallel()
			w := onDirectory(t)
			holder, waiter := w.clone("holder", "DRILL_CLOCK="+days), w.clone("waiter", "DRILL_CLOCK="+strings.TrimPrefix("-"+days, "--"))
			holder.program, waiter.program = program, program
			holder.write("deploy.sh", strings.ReplaceAll(script, "DIR", w.dir)+"sleep 15\n") // longer than a dead run is waited for
			waiter.write("src", "two\n")
			one := holder.start("deploy", "prod")
			w.until("a command", func() bool { return w.read("log") != "" })
			waiter.pipe("deploy", "prod")
			if code := one.end(); code != 0 {
				t.Errorf("exit code %d: %s", code, one)
			}
			w.orderly()
			w.settled("prod", "two")
			// Now one dies.
			n := len(w.lines())
			one = holder.start("deploy", "prod")
			w.until("a command", func() bool { return len(w.lines()) > n })
			must(t, one.Process.Kill())
			at := time.Now()
			waiter.pipe("deploy", "prod")
			w.orderly()
			w.settled("prod", "two")
			lines := w.lines()
			took := lines[len(lines)-2].at.Sub(at)
			if took > ttl+takeover {
				t.Errorf("taken over after %s", took)
			}
			t.Logf("taken over after %s", took)
		})
	}
}
