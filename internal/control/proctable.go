package control

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brigdev/brig/api"
)

const (
	maxProcesses = 256 // that are remembered for one sandbox
	maxFiles     = 4   // of output, of one sandbox's processes
	maxAllFiles  = 64  // of output, of all
	// keepOutput is how long the output of a process is kept beyond its end, and
	// keepEnded beyond that of its sandbox.
	keepOutput = 10 * time.Minute
	keepEnded  = 30 * time.Second
)

// processes are those of one sandbox.
type processes struct {
	mu    sync.Mutex
	byID  map[string]*process
	files int
	// allFiles counts those of all sandboxes.
	allFiles *atomic.Int32
	work     sync.WaitGroup
}

func (p *processes) init(allFiles *atomic.Int32) {
	p.byID, p.allFiles = map[string]*process{}, allFiles
}

// wait returns when all programs have ended, or sleep; their box is gone by then.
func (p *processes) wait() { p.work.Wait() }

func (p *processes) all() []*process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.oldestFirst()
}

// room drops the process that was started first, of those that have ended, when
// there are too many.
func (p *processes) room() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byID) < maxProcesses {
		return nil
	}
	for _, old := range p.oldestFirst() {
		if !old.running() {
			delete(p.byID, old.info.ID)
			p.discard(old)
			return nil
		}
	}
	return api.Errorf(api.CodeExhausted, "cannot start a process: because %d run in this sandbox", maxProcesses).WithFix("end one of them")
}

// oldestFirst wants mu held.
func (p *processes) oldestFirst() []*process {
	return slices.SortedFunc(maps.Values(p.byID), func(a, b *process) int {
		return cmp.Or(a.info.StartedAt.Compare(b.info.StartedAt), cmp.Compare(a.info.ID, b.info.ID))
	})
}

// takeFile grants a file for the output of one process. When there are too many,
// one that has ended gives up what it printed.
func (p *processes) takeFile(to *process) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files == maxFiles {
		for _, old := range p.oldestFirst() {
			if old.file && !old.running() {
				p.discard(old)
				break
			}
		}
	}
	if p.files == maxFiles {
		return false
	}
	if p.allFiles.Add(1) > maxAllFiles {
		p.allFiles.Add(-1)
		return false
	}
	p.files++
	to.file = true
	return true
}

// discard drops the output of a process that has ended. It wants mu held; a log's
// own lock comes after it here, which is safe because one that has ended never
// asks for a file.
func (p *processes) discard(old *process) {
	if old.file {
		old.file = false
		p.files--
		p.allFiles.Add(-1)
	}
	old.out.discard()
}

// add remembers a process and waits for its end.
func (p *processes) add(started *process) {
	p.mu.Lock()
	p.byID[started.info.ID] = started
	p.mu.Unlock()
	p.await(started)
}

// await waits for what is the process's program now, which ends the process unless
// it went to sleep with its sandbox.
func (p *processes) await(x *process) {
	proc, in := x.now()
	p.work.Go(func() {
		result, err := proc.Wait()
		if in != nil {
			in.stop()
		}
		if err != nil {
			result = api.ExecResponse{Verdict: api.Infra, ExitCode: 125, Evidence: api.Evidence{Reason: clip(err.Error(), 300)}}
		}
		if !x.sleeps(result) {
			p.end(x, result)
		}
	})
}

// end records how a process ended, and tells who waits for that.
func (p *processes) end(x *process, result api.ExecResponse) {
	x.mu.Lock()
	x.result, x.asleep = &result, false
	x.mu.Unlock()
	x.out.finish()
	close(x.ended)
	time.AfterFunc(keepOutput, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.discard(x)
	})
}

// letGo is for a sandbox that has ended: what its processes printed is soon
// dropped.
func (p *processes) letGo() {
	time.AfterFunc(keepEnded, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, x := range p.byID {
			if !x.running() {
				p.discard(x)
			}
		}
	})
}

func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result == nil
}

func (p *process) describe() api.Process {
	info := p.info
	p.mu.Lock()
	info.Result, info.Running = p.result, p.result == nil
	p.mu.Unlock()
	info.OutputStart, info.OutputBytes = p.out.span()
	return info
}
