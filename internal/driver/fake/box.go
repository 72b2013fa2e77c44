package fake

import (
	"context"
	"net"
	"sync"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/driver"
)

// Box is one fake box.
type Box struct {
	driver *Driver
	spec   driver.BoxSpec
	limits api.Limits
	fault  Fault
	state  *state
	agent  *agent
	host   net.Conn // the host's end of the channel
	inside net.Conn // the agent's end

	ctx    context.Context // ends with the box
	cancel context.CancelFunc
	work   sync.WaitGroup // the agent and its programs
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	ended   bool
	death   driver.Death
	faulted bool          // Fault.Destroy was returned
	paused  chan struct{} // non-nil while paused; closed by Resume
	usage   driver.Usage
}

var (
	_ driver.Box         = (*Box)(nil)
	_ driver.Usager      = (*Box)(nil)
	_ driver.Pauser      = (*Box)(nil)
	_ driver.Snapshotter = (*Box)(nil)
)

func newBox(d *Driver, spec driver.BoxSpec, fault Fault, s *state) *Box {
	b := &Box{driver: d, spec: spec, limits: spec.Limits.WithDefaults(), fault: fault, state: s, done: make(chan struct{})}
	s.files.limit(b.limits.DiskBytes)
	b.host, b.inside = net.Pipe()
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// start runs the agent, and the fault that ends the box in time.
func (b *Box) start() {
	b.agent = newAgent(b)
	b.work.Go(b.agent.serve)
	if b.fault.DieAfter > 0 {
		b.work.Go(func() {
			if wait(b.ctx, b.fault.DieAfter) == nil {
				b.end(driver.Death{Detail: "the fault DieAfter ended the box"})
			}
		})
	}
}

// end ends the box; the first cause stays.
func (b *Box) end(death driver.Death) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended, b.death = true, death
	b.cancel()
	b.inside.Close()
	close(b.done)
}

// Handle implements driver.Box.
func (b *Box) Handle() driver.Handle {
	return driver.Handle{Driver: b.driver.Name(), Version: handleVersion, ID: b.spec.ID}
}

// Channel implements driver.Box.
func (b *Box) Channel() net.Conn { return b.host }

// Done implements driver.Box.
func (b *Box) Done() <-chan struct{} { return b.done }

// Death implements driver.Box.
func (b *Box) Death() driver.Death {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.death
}

// Destroy implements driver.Box.
func (b *Box) Destroy(context.Context) error {
	b.mu.Lock()
	fail := b.fault.Destroy != nil && !b.faulted
	b.faulted = true
	b.mu.Unlock()
	if fail {
		return b.fault.Destroy
	}
	b.end(driver.Death{Killed: true})
	b.host.Close()
	b.work.Wait()
	b.driver.forget(b)
	return nil
}

// Usage implements driver.Usager.
func (b *Box) Usage() (driver.Usage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.usage, nil
}

// charge changes the box's accounts.
func (b *Box) charge(f func(u *driver.Usage)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.usage)
	b.usage.PeakMemoryBytes = max(b.usage.PeakMemoryBytes, b.usage.MemoryBytes)
}

// Pause implements driver.Pauser: no program goes on to its next instruction.
func (b *Box) Pause(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paused == nil {
		b.paused = make(chan struct{})
	}
	return nil
}

// Resume implements driver.Pauser.
func (b *Box) Resume(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paused != nil {
		close(b.paused)
		b.paused = nil
	}
	return nil
}

// gate holds a program back while the box is paused.
func (b *Box) gate(ctx context.Context) {
	b.mu.Lock()
	paused := b.paused
	b.mu.Unlock()
	if paused == nil {
		return
	}
	select {
	case <-paused:
	case <-ctx.Done():
	}
}
