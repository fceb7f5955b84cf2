package atomicfile_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/atomicfile"
)

// holdEnv names the lock that a copy of this program takes and holds until its input ends.
const holdEnv = "ATOMICFILE_TEST_HOLD"

// patience ends a test that would else hang.
const patience = time.Minute

func TestMain(m *testing.M) {
	if path := os.Getenv(holdEnv); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

func hold(path string) int {
	l, err := (atomicfile.Files{}).TryAcquire(path, atomicfile.Exclusive)
	if err != nil || l == nil {
		fmt.Println("not acquired", err)
		return 1
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0 // without Release: the system frees it
}

func TestWriteReplacesAFileWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"first", "", "second, longer"} {
		if err := atomicfile.Write(path, []byte(content), 0o640, ""); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%q, %v", b, err)
		}
	}
	wantNames(t, dir, "f")
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s holds %q, want %q; %v", dir, got, want, err)
	}
}

// LESSONS 15: a file is replaced, never written in place.
func TestAReaderOfTheOldFileKeepsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := atomicfile.Write(path, []byte("new"), 0o666, ""); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAWriteThatFailsLeavesAllAsItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x"), 0o666, ""); err == nil {
		t.Error("a directory was replaced")
	}
	wantNames(t, dir, "d")
	if err := atomicfile.Write(filepath.Join(dir, "none", "f"), []byte("x"), 0o666, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestTemporaryFilesLieWhereTheyAreAskedTo(t *testing.T) {
	dir, tmp := t.TempDir(), filepath.Join(t.TempDir(), "none")
	if err := atomicfile.Write(filepath.Join(dir, "f"), []byte("x"), 0o666, tmp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	wantNames(t, dir)
}

func try(t *testing.T, path string, mode atomicfile.Mode) *atomicfile.Lock {
	t.Helper()
	l, err := (atomicfile.Files{}).TryAcquire(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func release(t *testing.T, l *atomicfile.Lock) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestReadersShareALockAndAWriterHasItAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	a, b := try(t, path, atomicfile.Shared), try(t, path, atomicfile.Shared)
	if a == nil || b == nil {
		t.Fatal("readers do not share")
	}
	if try(t, path, atomicfile.Exclusive) != nil {
		t.Error("a writer among readers")
	}
	release(t, a)
	release(t, b)
	w := try(t, path, atomicfile.Exclusive)
	if w == nil || try(t, path, atomicfile.Shared) != nil || try(t, path, atomicfile.Exclusive) != nil {
		t.Error("a writer has it not alone")
	}
	release(t, w)
}

// LESSONS 16: wait, and say so.
func TestALockOfAnotherProcessIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), holdEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if try(t, path, atomicfile.Exclusive) != nil {
		t.Error("two processes hold it")
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	if l, err := atomicfile.Acquire(ctx, path, atomicfile.Exclusive, func() error { cancel(gone); return nil }); l != nil || !errors.Is(err, gone) {
		t.Errorf("%v, %v", l, err)
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	waited := 0
	no := errors.New("no")
	if l, err := atomicfile.Acquire(ctx, path, atomicfile.Exclusive, func() error { return no }); l != nil || err != no {
		t.Errorf("%v, %v", l, err)
	}
	l, err := atomicfile.Acquire(ctx, path, atomicfile.Exclusive, func() error {
		if waited++; waited == 1 {
			return nil // it is told again
		}
		return in.Close() // the other process ends
	})
	if err != nil || waited < 2 {
		t.Fatalf("%v, told to wait %d times", err, waited)
	}
	release(t, l)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestALockInADirectoryThatIsNotThereIsAnError(t *testing.T) {
	if _, err := (atomicfile.Files{}).TryAcquire(filepath.Join(t.TempDir(), "none", "lock"), atomicfile.Exclusive); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
