// Command brig runs untrusted code, each program in a sandbox of its own.
package main

import (
	"os"

	"github.com/brigdev/brig/internal/cli"
	"github.com/brigdev/brig/internal/driver/gvisor/sentry"
)

func main() {
	sentry.Dispatch() // does not return in a process that is a sandbox's kernel
	os.Exit(cli.Main(os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
