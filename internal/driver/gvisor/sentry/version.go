package sentry

import (
	_ "unsafe" // for go:linkname
)

// gvisorVersion is what the sentry writes into a snapshot, and demands of one
// that it restores. A build as a Go module leaves it at a constant that fits
// every build, so it is set here instead of by linker flags that somebody may
// forget.
//
//go:linkname gvisorVersion gvisor.dev/gvisor/runsc/version.version
var gvisorVersion string

// Version identifies the sentry in snapshots.
func Version() string {
	gvisorVersion = "brig-" + filtersFor
	return gvisorVersion
}
