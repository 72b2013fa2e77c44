// Package agent holds the guest's side: a freestanding static program that is
// the first process of every box (src/, written in C so that it starts in under
// a millisecond and costs a few pages in a snapshot), and the runner that the
// warm Python interpreter executes. Both are embedded, so that Brig is one file.
//
// src/build.sh makes the binary; a test rebuilds it with the same compiler and
// compares.
package agent

import (
	_ "embed"
)

//go:embed agent_linux_amd64
var binary []byte

//go:embed umount_linux_amd64
var umount []byte

//go:embed launch_linux_amd64
var launch []byte

//go:embed runner.py
var runner []byte

// Binary is the agent for linux/amd64.
func Binary() []byte { return binary }

// Runner is the program of the warm Python interpreter.
func Runner() []byte { return runner }

// Umount is the helper that unmounts the sentry's /proc; it runs on the host's
// side of a gVisor box, before the sentry locks itself in.
func Umount() []byte { return umount }

// Launch is the helper that starts the processes of a gVisor box, on the host's
// side, in namespaces of their own; src/launch.c says how it is called.
func Launch() []byte { return launch }
