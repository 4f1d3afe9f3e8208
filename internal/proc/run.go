package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Result is the outcome of Run.
type Result struct {
	Stdout    []byte
	Stderr    string
	ExitCode  int
	Truncated bool // stdout hit the bound; the child was ended
}

// Run runs a short command to its end with empty stdin (or stdin), stdout
// bounded to maxStdout bytes. ctx must have a deadline; on expiry the tree is
// killed and the error wraps context.DeadlineExceeded, with the output so far
// in the result. A non-zero exit is not an error. A program that outlives the
// command while holding its pipes delays the answer by one second at most. A
// stdin reader that blocks is left behind; its bytes go nowhere.
func Run(ctx context.Context, spec Spec, stdin io.Reader, maxStdout int64) (Result, error) {
	name := spec.label()
	if _, ok := ctx.Deadline(); !ok {
		return Result{}, fmt.Errorf("run %s: the context has no deadline", name)
	}
	if spec.InheritConsole {
		return Result{}, fmt.Errorf("run %s: no output to collect on a console", name)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", name, err)
	}
	p, err := Start(spec)
	if err != nil {
		return Result{}, err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	if stdin == nil {
		p.stdin.Close()
	} else {
		go func() {
			io.Copy(p.stdin, stdin) // a child need not read its input to the end
			p.stdin.Close()
		}()
	}
	type output struct {
		data      []byte
		truncated bool
		err       error
	}
	collected := make(chan output, 1)
	go func() {
		var out output
		var buf bytes.Buffer
		_, out.err = io.Copy(&buf, io.LimitReader(p.stdout, maxStdout+1))
		out.data = buf.Bytes()
		if int64(len(out.data)) > maxStdout {
			out.data, out.truncated = out.data[:maxStdout], true
			p.Kill()
			p.stdout.Close()
		}
		collected <- out
	}()

	select {
	case <-p.done:
	case <-ctx.Done():
		if !p.await(context.Background(), defaultKill) {
			p.closePipes(nil)
			return Result{ExitCode: -1, Stderr: p.StderrTail()},
				fmt.Errorf("run %s: process %d does not die: %w", name, p.pid, ctx.Err())
		}
	}
	// A reader that finds data all the time, from outside the tree, ends here too.
	late := time.AfterFunc(4*pipeGrace, func() { p.stdout.Close() })
	out := <-collected
	late.Stop()
	result := Result{Stdout: out.data, Stderr: p.StderrTail(), ExitCode: p.ExitCode(), Truncated: out.truncated}
	if !stop() && !out.truncated && (result.ExitCode < 0 || killedCode(result.ExitCode)) {
		err := ctx.Err()
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, err) {
			return result, fmt.Errorf("run %s: %w: %w", name, err, cause)
		}
		return result, fmt.Errorf("run %s: %w", name, err)
	}
	if out.err != nil && !out.truncated {
		return result, fmt.Errorf("run %s: read its output: %w", name, out.err)
	}
	return result, nil
}
