package egress

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	maxAddrs        = 4096 // that are remembered
	maxNamesPerAddr = 16
	maxCached       = 512
	// lookupTTL is how long an answer is kept and the guest may keep it.
	lookupTTL = 30 * time.Second
)

// names remembers what was resolved: a connection is to an address, and this says
// which names that address was given out for. The oldest are forgotten first.
type names struct {
	mu    sync.Mutex
	of    map[netip.Addr][]string
	order []netip.Addr // the oldest first
	cache map[string]answer
}

type answer struct {
	addrs []netip.Addr
	until time.Time
}

// pin notes that name was resolved to addrs.
func (n *names) pin(name string, addrs []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of, n.cache = map[netip.Addr][]string{}, map[string]answer{}
	}
	for _, a := range addrs {
		known, again := n.of[a]
		if !again {
			if len(n.order) == maxAddrs {
				delete(n.of, n.order[0])
				n.order = slices.Delete(n.order, 0, 1)
			}
			n.order = append(n.order, a)
		}
		if slices.Contains(known, name) {
			continue
		}
		if len(known) == maxNamesPerAddr {
			known = slices.Delete(known, 0, 1)
		}
		n.of[a] = append(known, name)
	}
	if len(n.cache) >= maxCached {
		clear(n.cache)
	}
	n.cache[name] = answer{addrs, time.Now().Add(lookupTTL)}
}

// resolved gives the names of an address.
func (n *names) resolved(a netip.Addr) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.of[a])
}

// cached gives a recent answer.
func (n *names) cached(name string) ([]netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, ok := n.cache[name]
	return a.addrs, ok && time.Now().Before(a.until)
}
