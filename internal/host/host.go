// Package host runs all boxes of one machine. Host is the seam (a machine that
// runs boxes); Manager is the implementation over drivers: admission with a fair
// queue, deadlines, limits, output caps, a journal written before each kernel
// object, recovery, and an optional pool of pre-restored single-use sandboxes.
package host

import (
	"context"
	"io"
	"io/fs"

	"github.com/brigdev/brig/api"
)

// Host is a machine that runs sandboxes. All methods may be called concurrently.
type Host interface {
	// Create waits for admission, makes a sandbox and confirms that its guest
	// answers. Errors: CodeInvalid, CodeNotFound (template), CodeUnavailable
	// (rung), CodeExhausted (can never fit), CodeCancelled (ctx), CodeInternal.
	Create(ctx context.Context, spec api.SandboxSpec) (Sandbox, error)
	// List describes the sandboxes of this process.
	List() []api.SandboxInfo
	// Close destroys every sandbox and waits for all goroutines.
	Close(ctx context.Context) error
}

// Sandbox is one sandbox. One Exec at a time; other methods may run beside it.
// Every error is the platform's; a program's fate is in ExecResult.
type Sandbox interface {
	Info() api.SandboxInfo
	// Put writes a file inside, parents made. An absolute path, or one below
	// /work.
	Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error
	// Get copies a regular file out, never following a final symlink.
	// Errors: CodeNotFound; CodeInvalid when it is not a regular file or is
	// larger than max (the text says which). At most max bytes reach w.
	Get(ctx context.Context, path string, max int64, w io.Writer) (api.FileInfo, error)
	// List describes one directory, at most max names.
	List(ctx context.Context, dir string, max int) ([]api.FileInfo, error)
	// Exec runs one program to its end, or to its limits. A program that had to be
	// ended takes the sandbox with it: afterwards it is gone, as after Destroy.
	Exec(ctx context.Context, spec api.ExecSpec, io Stdio) (api.ExecResult, error)
	// Reset makes a sandbox ready for another program of the same trust domain:
	// processes killed, writable places emptied. CodeUnsupported if it was not
	// created with Reuse.
	Reset(ctx context.Context) error
	// Destroy removes it. Idempotent; returns when nothing is left.
	Destroy(ctx context.Context) error
}

// Stdio connects a program's streams. Nil Stdin is empty; nil writers discard.
// An error of one of them counts as the caller's wish to stop: the program is
// killed and the verdict is cancelled. A writer that blocks holds back the
// program, and holds up Exec even when a limit has ended it.
type Stdio struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}
