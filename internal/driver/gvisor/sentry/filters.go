package sentry

import (
	_ "unsafe" // for go:linkname

	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/runsc/boot/filter"
)

//go:generate env CGO_ENABLED=0 go run ./gen

// precompiled is the table that gVisor's own build would fill. A key that does
// not match falls back to compiling at start: slow, not wrong.
//
//go:linkname precompiled gvisor.dev/gvisor/runsc/boot/filter.precompiledPrograms
var precompiled map[string]precompiledseccomp.Program

func installFilters() {
	filter.ListPrecompiled() // spends the sync.Once that would reset the table
	precompiled = generatedFilters()
}
