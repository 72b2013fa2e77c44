package api

import "time"

// SnapshotFormat is the version of the manifest. Another one is refused.
const SnapshotFormat = 1

// Snapshot is the manifest of one kept moment of a sandbox: memory, disk and
// devices as one immutable object.
type Snapshot struct {
	ID        string    `json:"id"`
	Format    int       `json:"format"`
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: until it is removed
	// Owner is the tenant; "" on a machine with one.
	Owner string `json:"owner,omitempty"`

	Sandbox  string `json:"sandbox"`          // taken from
	Parent   string `json:"parent,omitempty"` // the snapshot that the sandbox came from
	Template string `json:"template"`
	Digest   string `json:"digest"` // of the template's root filesystem
	Driver   string `json:"driver"`
	// Key is all else that a restore depends on: the driver's build, CPU features.
	Key    string `json:"key"`
	Limits Limits `json:"limits"`
	// Env is what execs get; secrets are never in it.
	Env map[string]string `json:"env,omitempty"`
	// Metadata is the sandbox's.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Kernels are the interpreter sessions that ran, to be taken up after a restore.
	Kernels []KernelRef `json:"kernels,omitempty"`
	// Programs are the background programs that ran, to be taken up likewise.
	Programs []ProgramRef `json:"programs,omitempty"`

	Files     []SnapshotFile `json:"files"`
	SizeBytes int64          `json:"size_bytes"` // of all files
	PausedMS  int64          `json:"paused_ms"`  // how long the sandbox stood still for it
}

// SnapshotFile is one file of a snapshot.
type SnapshotFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// KernelRef names an interpreter session inside a sandbox.
type KernelRef struct {
	ID       string `json:"id"`
	Language string `json:"language"`
	Cwd      string `json:"cwd"`
	PID      int    `json:"pid"`
	// Default says that it is the one for cells that name none.
	Default bool `json:"default,omitempty"`
	// Busy says that a cell ran at the snapshot. It is interrupted at the restore.
	Busy bool `json:"busy,omitempty"`
}

// ProgramRef names a background program inside a sandbox.
type ProgramRef struct {
	PID       int       `json:"pid"`
	Argv      []string  `json:"argv"` // the first 4 KiB
	Cwd       string    `json:"cwd,omitempty"`
	Tag       string    `json:"tag,omitempty"`
	StartedAt time.Time `json:"started_at"`
	// LeftSeconds is what was left of its timeout.
	LeftSeconds float64   `json:"left_seconds"`
	OpenStdin   bool      `json:"open_stdin,omitempty"`
	Terminal    *Terminal `json:"terminal,omitempty"`
}
