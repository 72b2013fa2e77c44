package control

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/host"
)

// maxRefText bounds what a snapshot says of one program's arguments, in bytes.
const maxRefText = 4 << 10

func newProcessID() string { return "p-" + strings.ToLower(rand.Text()[:10]) }

// refs are the programs that run, for a snapshot.
func (p *processes) refs() []api.ProgramRef {
	var list []api.ProgramRef
	for _, x := range p.all() {
		x.mu.Lock()
		if x.result == nil && !x.asleep {
			list = append(list, api.ProgramRef{
				PID: x.info.PID, Argv: clipArgv(x.info.Argv), Cwd: x.info.Cwd, Tag: x.info.Tag, StartedAt: x.info.StartedAt,
				LeftSeconds: (x.left - time.Since(x.since)).Seconds(),
				OpenStdin:   x.in != nil && !x.in.closed(), Terminal: x.req.Terminal,
			})
		}
		x.mu.Unlock()
	}
	return list
}

// clipArgv is for descriptions: whole arguments, as many as are short enough.
func clipArgv(argv []string) []string {
	size := 0
	for i, a := range argv {
		if size += len(a); size > maxRefText {
			return append(slices.Clone(argv[:i]), clip(a, 200))
		}
	}
	return argv
}

// inherit takes up the programs that came with a snapshot, which nobody uses yet, as
// background processes of this sandbox with ids of its own. One that had ended by
// then is left out.
func (sb *Sandbox) inherit(box host.Session, refs []api.ProgramRef) {
	for _, ref := range refs {
		p := &process{
			info: api.Process{
				ID: newProcessID(), PID: ref.PID, Argv: ref.Argv, Cwd: ref.Cwd, Tag: ref.Tag, StartedAt: ref.StartedAt, Running: true,
			},
			req:   api.ExecRequest{Argv: ref.Argv, Cwd: ref.Cwd, Tag: ref.Tag, Terminal: ref.Terminal},
			ended: make(chan struct{}), left: seconds(ref.LeftSeconds),
		}
		p.out = newOutputLog(func() (string, bool) { return sb.svc.cfg.Dir, sb.procs.takeFile(p) })
		if ref.OpenStdin {
			p.in = newFeed()
		}
		if err := sb.attach(p, box); err != nil {
			sb.svc.log.Debug("a program of a snapshot is not taken up", "id", sb.id, "pid", ref.PID, "error", err)
			continue
		}
		sb.procs.add(p)
	}
}
