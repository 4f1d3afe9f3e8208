//go:build unix

package term

import (
	"context"
	"time"
)

type ctx = context.Context

// withTimeout is apart from the test's own context, which is over when clean-up runs.
func withTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
