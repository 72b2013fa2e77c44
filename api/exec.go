package api

import "time"

// WorkDir is where a program's input, code and result are, inside.
const WorkDir = "/work"

// ExecSpec asks to run one program inside a sandbox. Exactly one of Argv and
// Script is set.
type ExecSpec struct {
	Argv []string `json:"argv,omitempty"`
	// Script is a file inside; Language says what runs it. A warm interpreter
	// of that language is used when the sandbox has one.
	Script   string            `json:"script,omitempty"`
	Language string            `json:"language,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Cwd      string            `json:"cwd,omitempty"` // default WorkDir
	Timeout  time.Duration     `json:"timeout,omitempty"`
	CPUTime  time.Duration     `json:"cpu_time,omitempty"`
	// OutputBytes caps stdout and stderr together, counted on the host.
	OutputBytes int64 `json:"output_bytes,omitempty"`
	// Root runs the program as root inside. Its boundary is the same.
	Root bool `json:"root,omitempty"`
	// User runs it as another user inside; nil is the user with uid 1000. A warm
	// interpreter is not used then.
	User *User `json:"user,omitempty"`
	// Terminal gives it a pseudo-terminal; nil means pipes. Sessions only.
	Terminal *Terminal `json:"terminal,omitempty"`
	// Keep holds the program's output while nobody is attached to it after a
	// restore, instead of discarding it: for interpreter kernels. Sessions only.
	Keep bool `json:"keep,omitempty"`
}

// User is a user and a group inside a sandbox.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// ExecResult is the end of one exec.
type ExecResult struct {
	Verdict  Verdict  `json:"verdict"`
	ExitCode *int     `json:"exit_code"` // nil when the program did not exit by itself
	Signal   string   `json:"signal"`    // "SIGKILL" when a signal ended it, else ""
	Usage    Usage    `json:"usage"`
	Evidence Evidence `json:"evidence"`
	// Truncated says that output was cut at the limit.
	Truncated bool `json:"truncated"`
}

// Usage is what a program cost, from the kernel's accounting where there is a
// cgroup, else from the guest's.
type Usage struct {
	WallMS          int64 `json:"wall_ms"`
	CPUMS           int64 `json:"cpu_ms"`
	PeakMemoryBytes int64 `json:"peak_memory_bytes"`
	OutputBytes     int64 `json:"output_bytes"`
}

// FileKind is what a name inside a sandbox is.
type FileKind string

// The kinds. Only a regular file's content is ever read.
const (
	FileRegular FileKind = "file"
	FileDir     FileKind = "dir"
	FileSymlink FileKind = "symlink"
	FileOther   FileKind = "other" // FIFO, socket, device
)

// FileInfo describes one name inside a sandbox, as the guest told it.
type FileInfo struct {
	Path string   `json:"path"`
	Kind FileKind `json:"kind"`
	Size int64    `json:"size"`
	Mode uint32   `json:"mode"`
	// ModTime is in Unix nanoseconds; Target is where a symlink points. Both are 0
	// or "" where the guest did not say.
	ModTime int64  `json:"mtime_ns,omitempty"`
	Target  string `json:"target,omitempty"`
	// UID and GID are whose it is, inside.
	UID uint32 `json:"uid,omitempty"`
	GID uint32 `json:"gid,omitempty"`
}
