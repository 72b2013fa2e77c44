package api

import "time"

// Limits is the hard budget of one sandbox. Zero means "the default" in a
// request and never "unlimited": see WithDefaults.
type Limits struct {
	// MemoryBytes is what the program may hold, its files in memory included.
	// Swap is off.
	MemoryBytes int64 `json:"memory_bytes"`
	// CPUs is how many cores' worth of time the sandbox gets, e.g. 0.5.
	CPUs float64 `json:"cpus"`
	// CPUTime is the processor time that the program may use; 0 means no limit
	// beyond CPUs × Timeout.
	CPUTime time.Duration `json:"cpu_time"`
	// PIDs is how many processes and threads the program may have at a time.
	PIDs int `json:"pids"`
	// DiskBytes is how much the program may write to the root filesystem. The
	// number of files is bounded by memory, which holds their inodes.
	DiskBytes int64 `json:"disk_bytes"`
	// OpenFiles is RLIMIT_NOFILE of the program.
	OpenFiles int `json:"open_files"`
	// OutputBytes is how much stdout and stderr may carry together.
	OutputBytes int64 `json:"output_bytes"`
	// ResultBytes is how large one file read back may be.
	ResultBytes int64 `json:"result_bytes"`
	// Timeout is the wall-clock time of one exec.
	Timeout time.Duration `json:"timeout"`
}

// DefaultLimits is the budget of a program that asked for nothing.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes: 512 << 20,
		CPUs:        1,
		PIDs:        128,
		DiskBytes:   512 << 20,
		OpenFiles:   1024,
		OutputBytes: 1 << 20,
		ResultBytes: 16 << 20,
		Timeout:     20 * time.Second,
	}
}

// WithDefaults fills what is zero from DefaultLimits. Defaults are filled once,
// at the edge.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits()
	fill(&l.MemoryBytes, d.MemoryBytes)
	fill(&l.CPUs, d.CPUs)
	fill(&l.PIDs, d.PIDs)
	fill(&l.DiskBytes, d.DiskBytes)
	fill(&l.OpenFiles, d.OpenFiles)
	fill(&l.OutputBytes, d.OutputBytes)
	fill(&l.ResultBytes, d.ResultBytes)
	fill(&l.Timeout, d.Timeout)
	return l
}

func fill[T int | int64 | float64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Validate says which limit makes no sense. It is called after WithDefaults.
func (l Limits) Validate() error {
	switch {
	case l.MemoryBytes < 16<<20:
		return Errorf(CodeInvalid, "cannot limit memory to %s: because an interpreter does not start below 16MiB", FormatBytes(l.MemoryBytes)).WithFix("use --memory 64MiB or more")
	case !(l.CPUs >= 0.01 && l.CPUs <= 1024): // which is so for NaN, too
		return Errorf(CodeInvalid, "cannot give %g cpus: because the range is 0.01 to 1024", l.CPUs).WithFix("use --cpus 1")
	case l.CPUTime < 0:
		return Errorf(CodeInvalid, "cannot limit cpu time to %s: because it is negative", l.CPUTime).WithFix("use --cpu-time 10s, or leave it out")
	case l.PIDs < 1 || l.PIDs > 32768:
		return Errorf(CodeInvalid, "cannot limit pids to %d: because the range is 1 to 32768", l.PIDs).WithFix("use --pids 128")
	case l.DiskBytes < 1<<20:
		return Errorf(CodeInvalid, "cannot limit disk to %s: because the smallest is 1MiB", FormatBytes(l.DiskBytes)).WithFix("use --disk 64MiB or more")
	case l.OpenFiles < 16 || l.OpenFiles > 1<<20:
		return Errorf(CodeInvalid, "cannot limit open files to %d: because the range is 16 to 1048576", l.OpenFiles).WithFix("ask for 1024")
	case l.OutputBytes < 1 || l.ResultBytes < 1:
		return Errorf(CodeInvalid, "cannot limit output to %s: because the smallest is 1B", FormatBytes(min(l.OutputBytes, l.ResultBytes))).WithFix("use --output-limit 1MiB")
	case l.Timeout < time.Millisecond || l.Timeout > 24*time.Hour:
		return Errorf(CodeInvalid, "cannot use a timeout of %s: because the range is 1ms to 24h", l.Timeout).WithFix("use --timeout 20s")
	}
	return nil
}
