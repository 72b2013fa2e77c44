// Package driver is the isolation seam: a driver makes, finds and destroys
// boxes of one rung. What happens inside a box goes through its guest agent
// (internal/guest), so a driver has no exec, no files and no streams.
//
// The contract is drivertest.Run; every driver passes it. A driver keeps no
// durable state of its own: the host journals a Handle before Create and hands
// it back after a restart, and everything a driver makes in the kernel is named
// so that Destroy finds it from Handle.ID alone.
package driver

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/brigdev/brig/api"
)

// Driver makes boxes of one rung. All methods may be called concurrently.
type Driver interface {
	// Name is the driver's own name, unique in the registry ("gvisor", "firecracker").
	Name() string
	// Rung is the boundary that its boxes have.
	Rung() api.Rung
	// Probe runs a guest for real and says whether this host can, how fast, and
	// what is missing. It never fails: what went wrong is in the answer.
	Probe(ctx context.Context) Probe
	// Create makes a box: cold when spec.Snapshot is empty, else restored from
	// it (CodeUnsupported if the driver can't). When it returns an error,
	// nothing of the box is left. The caller has journalled spec.ID before.
	Create(ctx context.Context, spec BoxSpec) (Box, error)
	// Find takes up a box that an earlier process made and that still runs;
	// ErrGone when it doesn't, CodeUnsupported when boxes die with their maker.
	Find(ctx context.Context, h Handle) (Box, error)
	// Destroy removes whatever exists of a box, made by this process or by one
	// that died at any step of Create: safe without set-up, and idempotent. Only
	// Handle.ID is needed; Data makes it faster.
	Destroy(ctx context.Context, h Handle) error
	// Leftovers lists the ids of boxes whose kernel objects exist under this
	// driver's names on this host, journalled or not.
	Leftovers(ctx context.Context) ([]string, error)
	// Close stops the driver's own goroutines. Boxes must be gone by then.
	Close() error
}

// ErrGone is returned by Find for a box that no longer runs.
var ErrGone = errors.New("the box is gone")

// Handle names a box for later: opaque to everyone but its driver, versioned,
// and safe to keep in a file.
type Handle struct {
	Driver  string          `json:"driver"`
	Version int             `json:"version"`
	ID      string          `json:"id"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// BoxSpec is all that a driver needs to make a box.
type BoxSpec struct {
	ID       string // host-chosen, [a-z0-9-]{1,40}, unique on this host
	Hostname string
	Root     RootFS
	// Snapshot is the directory of a snapshot that this driver made, or "".
	Snapshot string
	Limits   api.Limits
	// Agent is the guest agent's argument vector inside the root filesystem.
	// The box starts it as its first process with the channel on descriptor 3.
	Agent []string
	// Attached boxes die with the process that made them.
	Attached bool
	// Link is the box's network device, or nil for none but loopback. Drivers that
	// can't give one refuse with CodeUnsupported. A snapshot restores with a link or
	// without, whatever the box had that it was made of.
	Link *Link
	// Background boxes yield the processor to all others until Foreground, where
	// the driver can do that: a pool fills without delaying anybody.
	Background bool
}

// RootFS is where a box's root filesystem comes from. The box may write to it;
// nothing of that reaches the source.
type RootFS struct {
	Digest string // identifies the content; snapshots are keyed by it
	Image  string // an EROFS image file
	Dir    string // or a directory (for drivers that cannot take an image)
	Binds  []Bind // host directories shown read-only on top
}

// Link is one end of a network link, whose other end is a gateway's.
type Link struct {
	// File is a packet socket, each message one Ethernet frame. It stays the
	// caller's, who may close it when Create has returned.
	File    *os.File
	MAC     net.HardwareAddr
	MTU     int // of IP packets
	Addr    netip.Prefix
	Gateway netip.Addr // where everything outside Addr's range is
}

// Bind shows a host directory inside, read-only.
type Bind struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Box is one running box.
type Box interface {
	Handle() Handle
	// Channel is the connection to the guest agent. There is one per box; it is
	// the caller's to read, write and close. The peer is hostile.
	Channel() net.Conn
	// Done is closed when the box has ended by itself or was destroyed.
	Done() <-chan struct{}
	// Death says how the box ended; valid after Done. It is evidence for a
	// verdict: a box that was killed for memory says OOM.
	Death() Death
	// Destroy kills everything in the box and removes all that it was. It is
	// idempotent and returns when nothing is left.
	Destroy(ctx context.Context) error
}

// Death is how a box ended.
type Death struct {
	Killed bool   // by Destroy
	OOM    bool   // for memory
	PIDs   bool   // for the host's backstop on processes
	Detail string // for logs and infra errors; may hold the driver's own log
}

// Usager is implemented by boxes that can account for themselves. It must be
// asked before Destroy.
type Usager interface {
	Usage() (Usage, error)
}

// Usage is what a box has used so far, from the kernel's accounting.
type Usage struct {
	CPU             time.Duration
	MemoryBytes     int64
	PeakMemoryBytes int64
	OOMKills        int64 // processes killed for memory in this box
	ForkRefused     int64 // clones refused by the pids limit, if the driver can tell
	DiskRefused     int64 // writes refused by the disk limit, if the driver can tell
}

// Snapshotter is implemented by boxes whose memory can be kept. Files are
// written into dir, which exists and is empty; names are the driver's. The box
// ends afterwards unless keepRunning. The guest must be quiescent: its agent has
// said what it had to say, or is frozen; its programs may run.
type Snapshotter interface {
	Snapshot(ctx context.Context, dir string, keepRunning bool) error
}

// SnapshotPreparer is implemented by boxes that can do a part of a snapshot's work
// while the guest still runs.
type SnapshotPreparer interface {
	// PrepareSnapshot comes before Snapshot, with the same dir.
	PrepareSnapshot(ctx context.Context, dir string) error
}

// SnapshotKeyer is implemented by drivers that can restore: everything besides
// root filesystem and spec that a snapshot depends on (driver build, CPU
// features), as one string.
type SnapshotKeyer interface {
	SnapshotKey() string
}

// Pauser is implemented by boxes that can be frozen.
type Pauser interface {
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// Foregrounder is implemented by boxes that can be made in the background.
type Foregrounder interface {
	// Foreground gives the box its ordinary share of the processor.
	Foreground() error
}

// UpperTarer is implemented by boxes that can say what was changed in their root
// filesystem: as a tar, in which a character device 0/0 is a name that is gone.
// It is the guest's word: a hostile archive. The guest should be paused.
type UpperTarer interface {
	TarUpper(ctx context.Context, to *os.File) error
}

// Execer is implemented by boxes that can run a command without the guest
// agent. The result is the raw wait status.
type Execer interface {
	ExecAgentless(ctx context.Context, argv []string, stdio [3]net.Conn) (status int, err error)
}

// Probe is a driver's own report about this host.
type Probe struct {
	Driver    string        `json:"driver"`
	Rung      api.Rung      `json:"rung"`
	OK        bool          `json:"ok"`       // a guest ran
	Emulated  bool          `json:"emulated"` // by software emulation of a CPU: not usable speed
	Took      time.Duration `json:"took_ns"`  // nothing → guest answered → destroyed
	Reason    string        `json:"reason,omitempty"`
	Fix       string        `json:"fix,omitempty"` // the exact command that mends it
	Degraded  []Degraded    `json:"degraded,omitempty"`
	Snapshots bool          `json:"snapshots"`
}

// Degraded is something that works, but by a fall-back.
type Degraded struct {
	What string `json:"what"` // what is missing
	Cost string `json:"cost"` // what the fall-back costs
	Fix  string `json:"fix,omitempty"`
}
