package host

import "github.com/brigdev/brig/api"

// MemoryBytes is what all sandboxes of this host may hold together.
func (m *Manager) MemoryBytes() int64 { return m.cfg.MemoryBytes }

// MemoryHeld is how much of that a sandbox with these limits holds: its box costs
// something beside them.
func MemoryHeld(l api.Limits) int64 { return demandOf(l).bytes }
