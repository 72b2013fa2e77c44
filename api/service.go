package api

import "time"

// The types of the service: what the HTTP API says and what the client's calls
// take. Durations are in seconds or milliseconds, by their names.

// The states of a long-lived sandbox.
const (
	StatusRunning    = "running"
	StatusPaused     = "paused"
	StatusHibernated = "hibernated" // on disk only; it wakes at its next use
	StatusDeleted    = "deleted"    // by a caller, or because its time was over
	StatusFailed     = "failed"     // it ended otherwise: Ended says how
)

// CreateRequest asks the service for a sandbox.
type CreateRequest struct {
	Template     string `json:"template,omitempty"`      // default: base, python or host, the first that exists
	FromSnapshot string `json:"from_snapshot,omitempty"` // a snapshot's id, instead of a template
	Name         string `json:"name,omitempty"`
	// TTLSeconds is wall clock from creation, default 3600; then it is destroyed,
	// whatever it does.
	TTLSeconds float64 `json:"ttl_seconds,omitempty"`
	// IdleTimeoutSeconds destroys it when nothing used it for so long; 0 = never.
	// A persistent one hibernates instead.
	IdleTimeoutSeconds float64 `json:"idle_timeout_seconds,omitempty"`
	// Persistent gives it the longest TTL there is unless one is named.
	Persistent bool              `json:"persistent,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Limits     Resources         `json:"limits,omitzero"`
	Isolation  string            `json:"isolation,omitempty"`
	Floor      Rung              `json:"isolation_floor,omitempty"`
	// Egress is what its programs may reach; nil is no network at all.
	Egress *Egress `json:"egress,omitempty"`
}

// Resources are the limits of a sandbox as the service takes and tells them; 0
// in a request means the default.
type Resources struct {
	MemoryBytes int64   `json:"memory_bytes,omitempty"`
	CPUs        float64 `json:"cpus,omitempty"`
	PIDs        int     `json:"pids,omitempty"`
	DiskBytes   int64   `json:"disk_bytes,omitempty"`
	OpenFiles   int     `json:"open_files,omitempty"`
}

// Sandbox is a long-lived sandbox as the service describes it.
type Sandbox struct {
	ID        string            `json:"id"`
	Name      string            `json:"name,omitempty"`
	Status    string            `json:"status"`
	Template  string            `json:"template"`
	Digest    string            `json:"digest,omitempty"`
	Isolation Rung              `json:"isolation"`
	Driver    string            `json:"driver"`
	CPU       float64           `json:"cpu"`
	MemoryMB  int64             `json:"memory_mb"`
	Limits    Resources         `json:"limits"`
	Metadata  map[string]string `json:"metadata"`
	Egress    *Egress           `json:"egress,omitempty"` // nil: no network

	FromSnapshot string `json:"from_snapshot,omitempty"`
	ParentID     string `json:"parent_id,omitempty"`    // forked from
	ForkTreeID   string `json:"fork_tree_id,omitempty"` // shared by all children of one fork

	CreatedAt          time.Time `json:"created_at"`
	ExpiresAt          time.Time `json:"expires_at"`
	TTLSeconds         float64   `json:"ttl_seconds"`
	IdleTimeoutSeconds float64   `json:"idle_timeout_seconds"`
	Persistent         bool      `json:"persistent"`
	BootMS             int64     `json:"boot_ms"`
	BootMode           string    `json:"boot_mode"` // cold, template, snapshot, fork
	Ended              *Ended    `json:"ended,omitempty"`
}

// Ended says why a sandbox is no more.
type Ended struct {
	Reason string    `json:"reason"` // deleted, ttl, idle, died, server restarted
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
}

// Lifecycle is how long a sandbox may live.
type Lifecycle struct {
	TTLSeconds         float64   `json:"ttl_seconds"`
	ExpiresAt          time.Time `json:"expires_at"`
	IdleTimeoutSeconds float64   `json:"idle_timeout_seconds"`
	IdleSeconds        float64   `json:"idle_seconds"` // since it was last used
	Persistent         bool      `json:"persistent"`
	HibernateAtEnd     bool      `json:"hibernate_at_end"`
}

// LifecycleChange moves it; nil leaves a value as it is. A new TTL counts from now.
type LifecycleChange struct {
	TTLSeconds         *float64 `json:"ttl_seconds,omitempty"`
	IdleTimeoutSeconds *float64 `json:"idle_timeout_seconds,omitempty"`
	Persistent         *bool    `json:"persistent,omitempty"`
	// ExtendOnly leaves the deadline as it is when the new one would be sooner.
	ExtendOnly bool `json:"extend_only,omitempty"`
	// HibernateAtEnd has a running sandbox hibernate at its deadline, for as long as a
	// TTL may be, instead of ending.
	HibernateAtEnd *bool `json:"hibernate_at_end,omitempty"`
}

// ExecRequest runs one program: Cmd, a line for sh, or Argv.
type ExecRequest struct {
	Cmd  string            `json:"cmd,omitempty"`
	Argv []string          `json:"argv,omitempty"`
	Cwd  string            `json:"cwd,omitempty"` // default /work
	Env  map[string]string `json:"env,omitempty"`
	// Stdin is text; StdinBase64 is bytes. Neither means an empty stdin.
	Stdin       string `json:"stdin,omitempty"`
	StdinBase64 string `json:"stdin_base64,omitempty"`
	// TimeoutSeconds is wall clock; 0 = 300 for a call that waits for the result,
	// 24 hours for streams and processes.
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty"`
	// OutputBytes caps what is kept of the output, and ends the program beyond it;
	// 0 = 16 MiB for a call that waits for the result, else unlimited.
	OutputBytes int64 `json:"output_bytes,omitempty"`
	Root        bool  `json:"root,omitempty"`
	// User is whom it runs as: "user" (uid 1000, the default), "root", another name of
	// the sandbox's /etc/passwd, or a uid; a group may follow, "uid:gid".
	User     string    `json:"user,omitempty"`
	Terminal *Terminal `json:"terminal,omitempty"`
	// OnTimeout "result" makes a timeout an ordinary answer instead of status 504.
	OnTimeout string `json:"on_timeout,omitempty"`
	// Tag names a background process for its caller.
	Tag string `json:"tag,omitempty"`
}

// ExecResponse is the end of a program. Output that is not UTF-8 is in the
// _base64 fields exactly, and in the others with U+FFFD.
type ExecResponse struct {
	Stdout       string   `json:"stdout"`
	Stderr       string   `json:"stderr"`
	StdoutBase64 string   `json:"stdout_base64,omitempty"`
	StderrBase64 string   `json:"stderr_base64,omitempty"`
	ExitCode     int      `json:"exit_code"` // as a shell has it: 128+n for signal n, 124 for a timeout
	Signal       string   `json:"signal,omitempty"`
	Verdict      Verdict  `json:"verdict"`
	TimedOut     bool     `json:"timed_out"`
	Truncated    bool     `json:"truncated,omitempty"`
	DurationMS   int64    `json:"duration_ms"`
	Usage        Usage    `json:"usage"`
	Evidence     Evidence `json:"evidence"`
}

// Process is a background program of a sandbox.
type Process struct {
	ID        string    `json:"id"`
	PID       int       `json:"pid"` // inside
	Argv      []string  `json:"argv"`
	Cwd       string    `json:"cwd,omitempty"`
	Tag       string    `json:"tag,omitempty"`
	StartedAt time.Time `json:"started_at"`
	Running   bool      `json:"running"`
	// OutputBytes is how much it has printed; OutputStart is the first offset that
	// is still kept.
	OutputBytes int64 `json:"output_bytes"`
	OutputStart int64 `json:"output_start"`
	// Result is its end, once it has ended; without output.
	Result *ExecResponse `json:"result,omitempty"`
}

// ForkRequest asks for children of a running sandbox.
type ForkRequest struct {
	Count      int               `json:"count,omitempty"` // default 1, at most 64
	Name       string            `json:"name,omitempty"`  // children of several get -1, -2, … behind it
	Metadata   map[string]string `json:"metadata,omitempty"`
	TTLSeconds float64           `json:"ttl_seconds,omitempty"` // default: the parent's, from now
}

// ForkResult is what a fork made. Children that failed are in Errors.
type ForkResult struct {
	TreeID     string      `json:"tree_id"`
	ParentID   string      `json:"parent_id"`
	SnapshotID string      `json:"snapshot_id"`
	Children   []Sandbox   `json:"children"`
	At         time.Time   `json:"at"`
	PausedMS   int64       `json:"paused_ms"` // how long the parent stood still
	Errors     []ForkError `json:"errors,omitempty"`
}

// ForkError is a child that could not be made.
type ForkError struct {
	Index int    `json:"index"`
	Err   string `json:"err"`
}

// PromoteResult is what a promotion destroyed.
type PromoteResult struct {
	Winner   string            `json:"winner"`
	TreeID   string            `json:"tree_id,omitempty"`
	Deleted  []string          `json:"deleted"`
	Failures map[string]string `json:"failures,omitempty"`
}

// CodeRequest runs one cell. Without a context it runs in the language's own
// default one, which is made at its first use.
type CodeRequest struct {
	Code           string  `json:"code"`
	Language       string  `json:"language,omitempty"` // default python
	Context        string  `json:"context,omitempty"`
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty"` // default 30
	// Env is for this cell alone.
	Env map[string]string `json:"env,omitempty"`
	// Cwd is where the default context begins if this cell is its first; default
	// /work.
	Cwd string `json:"cwd,omitempty"`
}

// Event is one thing that happened to a sandbox. Events outlive it.
type Event struct {
	Time    time.Time         `json:"time"`
	Sandbox string            `json:"sandbox_id"`
	Type    string            `json:"type"`
	Payload map[string]string `json:"payload,omitempty"`
}

// Stats is what a sandbox uses now, with its limits.
type Stats struct {
	SandboxStats
	CPUs      float64 `json:"cpus"`
	DiskLimit int64   `json:"disk_limit_bytes"`
}
