package store_test

import (
	"testing"
	"time"

	"github.com/pipe-build/pipe/internal/store"
)

func TestAgeIsNeverNegativeByRounding(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]time.Duration{
		time.Hour: time.Hour, time.Second: time.Second, 0: 0, -time.Second: 0, -2 * time.Second: 0, -3 * time.Second: -1,
	} {
		if got := store.Age(at, at.Add(after)); got != want {
			t.Errorf("%v after: %v, want %v", after, got, want)
		}
	}
}
