package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/pipe-build/pipe/internal/diag"
)

// SignalError is the cause of a context that a signal ended; the same signal is
// passed on to the command.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e SignalError) Error() string { return signalText(e.Signal) }

// signalText names a signal by its number and its meaning, "signal 15 (terminated)": the
// meaning alone reads like a verb, and the number is what kill and dmesg say.
func signalText(s os.Signal) string {
	if n, ok := s.(syscall.Signal); ok {
		return fmt.Sprintf("signal %d (%s)", int(n), s)
	}
	return "signal " + s.String()
}

// killKey is the key of a context's second end.
type killKey struct{}

// WithKill returns a context that can end twice: once it has ended, for whatever cause, commands
// below it have their grace, and kill takes the rest of it away from them and kills them at once.
// All else goes on as before: what must be written after a command's end is written. kill may be
// called again, and before the context ends.
func WithKill(ctx context.Context) (_ context.Context, kill context.CancelFunc) {
	second, kill := context.WithCancel(killed(ctx))
	return context.WithValue(ctx, killKey{}, second), kill
}

// killed returns the context that ends when commands below ctx have no grace any more.
func killed(ctx context.Context) context.Context {
	if second, ok := ctx.Value(killKey{}).(context.Context); ok {
		return second
	}
	return context.WithoutCancel(ctx)
}

// Interrupted is the error of a run that a signal or another cause ended; the
// kind gives the exit code that shells expect, 130 or 143.
func Interrupted(cause error) *diag.Error {
	kind, text := diag.Failed, "interrupted: %w"
	var sig SignalError
	if errors.As(cause, &sig) {
		kind, text = diag.Terminated, "interrupted by %w"
		if sig.Signal == os.Interrupt {
			kind = diag.Interrupted
		}
	}
	return diag.New(kind, text, cause).Hinted("run the same command again to continue")
}
