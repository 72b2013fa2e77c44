// Package host runs all boxes of one machine. Host is the seam (a machine that
// runs boxes); Manager is the implementation over drivers: admission with a fair
// queue, deadlines, limits, output caps, a journal written before each kernel
// object, recovery, and an optional pool of pre-restored single-use sandboxes.
package host

import (
	"context"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"

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

// Session is a Sandbox that was created with SandboxSpec.Session: Create's result
// implements it. Execs run concurrently. A program that reached a limit, or whose
// caller went away, is ended with everything it started, and the sandbox goes on.
type Session interface {
	Sandbox
	// Start starts a program and returns while it runs. The program belongs to ctx
	// until Wait returned: when ctx ends, it is killed.
	Start(ctx context.Context, spec api.ExecSpec, io Stdio) (Process, error)
	// Attach takes up a program that ran in the snapshot that this sandbox was
	// restored from, by its pid inside. CodeNotFound when there is none.
	Attach(ctx context.Context, pid int, spec api.ExecSpec, io Stdio) (Process, error)

	// Stat describes one name; a final symlink is not followed. CodeNotFound.
	Stat(ctx context.Context, path string) (api.FileInfo, error)
	// Read copies up to max bytes from offset of a regular file; max < 0 means all.
	Read(ctx context.Context, path string, offset, max int64, w io.Writer) (api.FileInfo, error)
	// Mkdir makes a directory and its parents; one that exists is no error.
	Mkdir(ctx context.Context, path string, mode fs.FileMode) error
	// For is this session, but what its Put and Mkdir make, parents too, belongs to
	// owner and not to the programs' user.
	For(owner api.User) Session
	// Remove deletes a name; a directory with its content only if recursive.
	Remove(ctx context.Context, path string, recursive bool) error
	// Rename moves a name, replacing a file that is in its way; parents are made.
	Rename(ctx context.Context, from, to string) error
	// Symlink makes a symbolic link; target is stored as it is.
	Symlink(ctx context.Context, target, path string) error

	// Dial connects to a TCP port on localhost inside; ctx is for that only. The
	// connection lives until it is closed, which has to be done, or the sandbox
	// ends. It has CloseWrite besides. CodeUnavailable when nothing listens there,
	// CodeExhausted when there are too many connections.
	Dial(ctx context.Context, port int) (net.Conn, error)
	// Watch tells what changes in a directory, with recursive also below it, until
	// ctx ends (CodeCancelled), give fails (its error) or the directory is gone
	// (CodeNotFound). ready, which may be nil, is called once the watch is on.
	// CodeExhausted when changes were lost, because they were too many for give, or
	// when there are too many directories. A create may be told of twice.
	Watch(ctx context.Context, path string, recursive bool, ready func(), give func(api.FileChange) error) error

	// SetDeadline moves the wall-clock deadline.
	SetDeadline(t time.Time) error
	// SetEgress replaces what its programs may reach; what is open and not allowed any
	// more is cut. CodeConflict when it was made without a network.
	SetEgress(e *api.Egress) error
	// Stats is what it uses now.
	Stats() api.SandboxStats
	// Pause stops every process inside until Resume; the deadline goes on. Execs
	// and files of a paused sandbox are CodeConflict.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	// Snapshot keeps this moment in dir, which exists and is empty, and goes on. It
	// returns how long the sandbox stood still. CodeUnsupported when the driver
	// can't.
	Snapshot(ctx context.Context, dir string) (paused time.Duration, err error)
	// SnapshotKey is what a restore depends on besides root filesystem and limits.
	SnapshotKey() string
	// Done is closed when the sandbox has ended; Ended says why: "ttl", "destroyed",
	// "died", with a detail.
	Done() <-chan struct{}
	Ended() (reason, detail string)
}

// Process is a program that runs in a Session.
type Process interface {
	PID() int // inside
	// Signal sends sig to the program's process group, or with tree to everything
	// that it started, wherever that went.
	Signal(ctx context.Context, sig syscall.Signal, tree bool) error
	// Resize changes the size of its terminal.
	Resize(ctx context.Context, t api.Terminal) error
	// Wait returns at its end, whatever ended it. It may be called once.
	Wait() (api.ExecResult, error)
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
