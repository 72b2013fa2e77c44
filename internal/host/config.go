package host

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/egress"
	"github.com/brigdev/brig/internal/template"
)

// Config says what a Manager works with. Zero values mean the defaults.
type Config struct {
	// Drivers are what boxes are made with; among those of one rung the first is
	// preferred. They stay the caller's, to be closed after the Manager.
	Drivers   []driver.Driver
	Templates Templates
	// StateDir is where the journal is kept, shared by all Brig processes that
	// shall know of each other's sandboxes.
	StateDir string
	// MemoryBytes is what all sandboxes may hold together; default 80 % of this
	// machine's memory, or of the cgroup's limit.
	MemoryBytes int64
	// CPUs is how many cores there are to share; default all.
	CPUs int
	// CPUOvercommit is how many times over the cores may be promised to
	// sandboxes that run at the same time; default 2, because programs wait.
	CPUOvercommit float64
	// MaxStarts is how many boxes may boot or be restored at the same time;
	// default one a core, because that is nothing but computing.
	MaxStarts int
	// PoolSize is how many restored, unused sandboxes are kept at hand; default
	// none. They buy latency in a burst, and no throughput.
	PoolSize int
	// AllowUnsafe admits the rung process, which is no boundary at all.
	AllowUnsafe bool
	// Egress is what the gateways of sandboxes with a network resolve, dial and
	// audit with; default this host's own. Its Log is not used.
	Egress egress.Options
	Log    *slog.Logger // default: discard
}

// Templates is the catalogue of root filesystems, as far as a Manager needs it.
type Templates interface {
	// Resolve finds a template by name or digest; CodeNotFound with a fix when
	// there is none.
	Resolve(ctx context.Context, name string) (template.Template, error)
	// Snapshot gives the directory of the baked snapshot of kind "oneshot",
	// "session" or "code" for this driver and these limits, baking it when it is missing
	// or stale; "" when the driver cannot restore or nothing of the template is
	// warm.
	Snapshot(ctx context.Context, t template.Template, d driver.Driver, kind string, l api.Limits) (string, error)
}

// The kinds of snapshot.
const (
	snapshotOneshot = "oneshot" // the interpreter runs one program, in place
	snapshotSession = "session" // the interpreter outlives its programs
	snapshotCode    = "code"    // code interpreters wait for their first cell
)

// How long things may take before they count as broken, and how they are kept.
const (
	startTimeout   = 60 * time.Second // to make a box and hear from its guest
	claimTimeout   = 2 * time.Second  // to hear from a pooled box, which is up already
	destroyTimeout = 30 * time.Second
	resetTimeout   = 30 * time.Second
	ttlGrace       = 60 * time.Second // default TTL beyond the exec timeout
	maxTTL         = 30 * 24 * time.Hour
	sessionTTL     = 24 * time.Hour // default of a session
	maxSessionTTL  = 7 * 24 * time.Hour
	maxTimeout     = 24 * time.Hour // of an exec, as api.Limits has it

	// killGrace is how long a guest may take to report the end of a program that was
	// killed, before it counts as one that does not obey.
	killGrace = 2 * time.Second
	// Pausing is a matter of milliseconds, and so is a word with the guest's agent;
	// writing a snapshot takes as long as its memory is large and the disk slow.
	pauseTimeout    = 10 * time.Second
	freezeTimeout   = 10 * time.Second
	snapshotTimeout = 2 * time.Minute
)

// withDefaults fills what is zero and refuses what can't work.
func (c Config) withDefaults() (Config, error) {
	if c.StateDir == "" || c.Templates == nil {
		return c, api.Errorf(api.CodeInvalid, "cannot manage sandboxes: because there is no state directory or no templates").
			WithFix("set StateDir and Templates")
	}
	if c.MemoryBytes == 0 {
		var err error
		if c.MemoryBytes, err = defaultMemory("/"); err != nil {
			return c, err
		}
	}
	if c.CPUs == 0 {
		c.CPUs = runtime.NumCPU()
	}
	if c.CPUOvercommit == 0 {
		c.CPUOvercommit = 2
	}
	if c.MaxStarts == 0 {
		c.MaxStarts = runtime.NumCPU()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MemoryBytes < 0 || c.CPUs < 0 || c.CPUOvercommit < 0 || c.MaxStarts < 0 || c.PoolSize < 0 {
		return c, api.Errorf(api.CodeInvalid, "cannot manage sandboxes: because a size is negative").
			WithFix("use 0 for the default")
	}
	return c, nil
}

// budget is what sandboxes may take together.
func (c Config) budget() demand {
	return demand{bytes: c.MemoryBytes, milliCPU: int64(float64(c.CPUs) * c.CPUOvercommit * 1000)}
}
