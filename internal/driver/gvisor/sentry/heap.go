package sentry

import (
	"math"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	// startHeap is more than what a start and a short program take.
	startHeap = 24 << 20
	// firstCollection is how large the heap grows before it is collected.
	firstCollection = 64 << 20
)

// prepareHeap makes the heap of a sentry fit for a short life. It has huge pages
// as far as a start fills it: faulting it in by small ones costs 8 ms of processor
// time. And it is not collected before it is worth it: a start allocates little
// that dies, and collecting costs 18 ms.
func prepareHeap() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(firstCollection)
	b := make([]byte, startHeap)
	// Go's heap is in large mappings; the edges of this slice are a neighbour's.
	// Where huge pages are not to be had, small ones do.
	_ = unix.Madvise(b[4096:startHeap-4096], unix.MADV_HUGEPAGE)
	runtime.KeepAlive(b)
	runtime.GC() // gives b's addresses to the next allocations
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) {
		debug.SetMemoryLimit(math.MaxInt64)
		debug.SetGCPercent(100)
	})
}
