package api

import "time"

// IsolationAuto asks for the strongest rung that this host runs at usable
// speed, never below the floor.
const IsolationAuto = "auto"

// SandboxSpec asks for a sandbox.
type SandboxSpec struct {
	Template  string        `json:"template"`
	Isolation string        `json:"isolation,omitempty"` // "auto" or a rung's name
	Floor     Rung          `json:"floor,omitempty"`     // the weakest rung that auto may take; default gvisor
	Limits    Limits        `json:"limits"`
	TTL       time.Duration `json:"ttl,omitempty"` // wall clock from creation; then it is killed whatever it does. 0 = Limits.Timeout + 60 s
	Hostname  string        `json:"hostname,omitempty"`
	// Trust names whose code and data this is; queued work of several trust
	// domains is admitted in turn.
	Trust string `json:"trust,omitempty"`
	// Warm names the language whose warm interpreter the first exec will use
	// ("python"), or "" for a box that only runs commands.
	Warm string `json:"warm,omitempty"`
	// Reuse asks for a sandbox whose warm interpreter can run more than one
	// program, with Reset between them: a batch's chunk mode.
	Reuse bool `json:"reuse,omitempty"`
	// Session asks for a sandbox that lives until its deadline: several programs at
	// once, and one that had to be ended does not take the sandbox with it.
	Session bool `json:"session,omitempty"`
	// Snapshot is the directory of a snapshot of a session to restore instead of
	// the template's own; only Host implementations read it, never a request.
	Snapshot string `json:"-"`
	// Env is in the environment of every exec of a session, below the exec's own.
	Env map[string]string `json:"env,omitempty"`
	// Egress is what its programs may reach; nil is no network at all.
	Egress *Egress `json:"egress,omitempty"`
	// Name and Metadata are the caller's; Brig gives them no meaning.
	Name     string            `json:"name,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// SandboxInfo describes a sandbox that exists.
type SandboxInfo struct {
	ID        string    `json:"id"`
	State     string    `json:"state"` // creating, running, paused, destroying; orphan when its owner died
	Template  string    `json:"template"`
	Digest    string    `json:"digest"` // of the template's root filesystem
	Isolation Rung      `json:"isolation"`
	Driver    string    `json:"driver"`
	Limits    Limits    `json:"limits"`
	CreatedAt time.Time `json:"created_at"`
	Deadline  time.Time `json:"deadline"`
	OwnerPID  int       `json:"owner_pid"` // the Brig process that made it
	Restored  bool      `json:"restored"`  // from a warm snapshot, not from a cold boot
	Pooled    bool      `json:"pooled"`
	Session   bool      `json:"session,omitempty"` // see SandboxSpec.Session

	Name     string            `json:"name,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`

	// Kernels are the interpreter sessions of the template's snapshot that it was
	// restored from.
	Kernels []KernelRef `json:"-"`
}
