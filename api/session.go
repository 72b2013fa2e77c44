package api

import "time"

// ExecResult and verdicts of a session are those of any exec; see exec.go.

// Terminal asks for a pseudo-terminal of this size instead of pipes. Output of a
// terminal is one stream, stdout.
type Terminal struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// ProcessInfo describes a program that runs in a sandbox.
type ProcessInfo struct {
	PID       int       `json:"pid"` // inside
	Argv      []string  `json:"argv"`
	Cwd       string    `json:"cwd"`
	Tag       string    `json:"tag,omitempty"`
	StartedAt time.Time `json:"started_at"`
}

// SandboxStats is what a sandbox uses now.
type SandboxStats struct {
	CPUMS           int64 `json:"cpu_ms"`
	MemoryBytes     int64 `json:"memory_bytes"`
	PeakMemoryBytes int64 `json:"peak_memory_bytes"`
	MemoryLimit     int64 `json:"memory_limit_bytes"`
	Processes       int   `json:"processes"` // programs that were started through Brig and still run
}
