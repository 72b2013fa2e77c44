package jetstream

import (
	_ "unsafe" // for go:linkname

	_ "github.com/nats-io/nats-server/v2/server/pse" // has the variable
)

// procStatFile is the file that NATS reads its own CPU use from, once a second
// from the start of any process that has NATS linked in. A gVisor sandbox is
// this same binary, and its seccomp filter kills the process that opens a file.
//
//go:linkname procStatFile github.com/nats-io/nats-server/v2/server/pse.procStatFile
var procStatFile string

// The sampling ends at the first file it cannot read, and a name with a zero
// byte fails before there is a system call. This has to be so in every process,
// whether or not it ever opens a store, so it is done when the package is
// initialised.
var _ = endSampling()

// endSampling writes what a timer reads a second later. Nothing orders the two
// but that second, which the race detector does not accept.
//
//go:norace
func endSampling() bool {
	procStatFile = "\x00"
	return true
}
