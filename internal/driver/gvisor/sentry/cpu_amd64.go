package sentry

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"sync"
	_ "unsafe" // for go:linkname

	"gvisor.dev/gvisor/pkg/cpuid"
)

// EnvCPU is the name of what CPU says in the environment of a boot process.
const EnvCPU = "BRIG_CPU"

// What gVisor's cpuid.Initialize fills.
//
//go:linkname cpuOnce gvisor.dev/gvisor/pkg/cpuid.initOnce
var cpuOnce sync.Once

//go:linkname cpuFeatures gvisor.dev/gvisor/pkg/cpuid.hostFeatureSet
var cpuFeatures cpuid.FeatureSet

//go:linkname cpuMHz gvisor.dev/gvisor/pkg/cpuid.cpuFreqMHz
var cpuMHz float64

//go:linkname initHWCap gvisor.dev/gvisor/pkg/cpuid.initHWCap
func initHWCap()

// CPU describes this machine's processor for boot processes. Each would ask it a
// hundred questions, and where there is a hypervisor, that one answers each: 2 ms
// of every start.
func CPU() string {
	cpuid.Initialize()
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(cpuMHz))
	for in, out := range cpuid.HostFeatureSet().ToStatic() {
		for _, v := range []uint32{in.Eax, in.Ecx, out.Eax, out.Ebx, out.Ecx, out.Edx} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	return base64.StdEncoding.EncodeToString(b)
}

// takeCPU takes what CPU said, if it was passed on; else the sentry asks by itself.
func takeCPU() {
	const answer = 6 * 4
	b, err := base64.StdEncoding.DecodeString(os.Getenv(EnvCPU))
	os.Unsetenv(EnvCPU)
	if err != nil || len(b) < 8+answer || (len(b)-8)%answer != 0 {
		return
	}
	cpuOnce.Do(func() {
		cpuMHz = math.Float64frombits(binary.LittleEndian.Uint64(b))
		static := cpuid.Static{}
		for b := b[8:]; len(b) > 0; b = b[answer:] {
			v := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
			static[cpuid.In{Eax: v(0), Ecx: v(1)}] = cpuid.Out{Eax: v(2), Ebx: v(3), Ecx: v(4), Edx: v(5)}
		}
		cpuFeatures = static.ToFeatureSet()
		initHWCap()
	})
}
