//go:build !amd64

package sentry

// EnvCPU is the name of what CPU says in the environment of a boot process.
const EnvCPU = "BRIG_CPU"

// CPU is empty: this kind of processor is quickly asked.
func CPU() string { return "" }

func takeCPU() {}
