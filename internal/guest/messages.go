package guest

import (
	"sort"
)

// ExecRequest is the payload of TypeExec. Fields in order: flags u32, cwd,
// cpu seconds u32 (RLIMIT_CPU, 0 = none), nproc u32, nofile u32, argc u32,
// argv…, envc u32, "K=V"…, rows u32, cols u32 (with ExecTerminal), and with
// ExecAs uid u32, gid u32.
type ExecRequest struct {
	Flags      uint32
	Cwd        string
	CPUSeconds uint32
	NProc      uint32
	NoFile     uint32
	Argv       []string
	Env        map[string]string
	Rows, Cols uint32 // the terminal's size in characters
	UID, GID   uint32 // whom ExecAs means
}

// Encode gives the wire form.
func (e ExecRequest) Encode() []byte {
	p := Fields(nil).U32(e.Flags).String(e.Cwd).U32(e.CPUSeconds).U32(e.NProc).U32(e.NoFile)
	p = p.U32(uint32(len(e.Argv)))
	for _, a := range e.Argv {
		p = p.String(a)
	}
	keys := make([]string, 0, len(e.Env))
	for k := range e.Env {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	p = p.U32(uint32(len(keys)))
	for _, k := range keys {
		p = p.String(k + "=" + e.Env[k])
	}
	p = p.U32(e.Rows).U32(e.Cols)
	if e.Flags&ExecAs != 0 {
		p = p.U32(e.UID).U32(e.GID)
	}
	return p
}

// ExitReport is the payload of TypeExit: what the guest says of a program's
// end. Only Status decides a verdict; the peaks are evidence beside the host's.
// Fields in order: status u32 (raw wait status), cpu u64 (µs, children
// included), disk peak u64 and disk limit u64 (bytes), inode peak u64 and
// inode limit u64, tasks peak u32.
type ExitReport struct {
	Status     uint32
	CPUMicros  uint64
	DiskPeak   uint64
	DiskLimit  uint64
	InodePeak  uint64
	InodeLimit uint64
	TasksPeak  uint32
}

// Encode gives the wire form.
func (e ExitReport) Encode() []byte {
	return Fields(nil).U32(e.Status).U64(e.CPUMicros).U64(e.DiskPeak).U64(e.DiskLimit).
		U64(e.InodePeak).U64(e.InodeLimit).U32(e.TasksPeak)
}

// DecodeExitReport reads the wire form.
func DecodeExitReport(payload []byte) (ExitReport, error) {
	r := NewReader(payload)
	e := ExitReport{Status: r.U32(), CPUMicros: r.U64(), DiskPeak: r.U64(), DiskLimit: r.U64(),
		InodePeak: r.U64(), InodeLimit: r.U64(), TasksPeak: r.U32()}
	return e, r.Err
}

// DecodeExecRequest reads the wire form; the agents written in Go use it.
func DecodeExecRequest(payload []byte) (ExecRequest, error) {
	r := NewReader(payload)
	e := ExecRequest{Flags: r.U32(), Cwd: string(r.Bytes()), CPUSeconds: r.U32(), NProc: r.U32(), NoFile: r.U32()}
	for n := r.U32(); n > 0 && r.Err == nil; n-- {
		e.Argv = append(e.Argv, string(r.Bytes()))
	}
	e.Env = map[string]string{}
	for n := r.U32(); n > 0 && r.Err == nil; n-- {
		k, v := cut(string(r.Bytes()))
		e.Env[k] = v
	}
	e.Rows, e.Cols = r.U32(), r.U32()
	if e.Flags&ExecAs != 0 {
		e.UID, e.GID = r.U32(), r.U32()
	}
	return e, r.Err
}

func cut(kv string) (string, string) {
	for i := 0; i < len(kv); i++ {
		if kv[i] == '=' {
			return kv[:i], kv[i+1:]
		}
	}
	return kv, ""
}
