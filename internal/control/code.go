package control

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
	"github.com/brigdev/brig/internal/host"
)

const (
	maxContexts     = 8
	defaultCellTime = 30 * time.Second
)

// cellContext is one interpreter session.
type cellContext struct {
	kernel Kernel
	def    bool // the language's default one
}

// contexts are those of one sandbox. Their ids are the kernels'.
type contexts struct {
	opening chan struct{} // holds a token while a kernel is opened

	mu   sync.Mutex
	byID map[string]*cellContext
	// warm are the sessions that came with the template and that nobody has used
	// yet: each becomes its language's default one.
	warm []api.KernelRef
}

func (c *contexts) init() {
	c.opening = make(chan struct{}, 1)
	c.byID = map[string]*cellContext{}
}

func (c *contexts) add(k Kernel, def bool) *cellContext {
	x := &cellContext{kernel: k, def: def}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[k.Ref().ID] = x
	return x
}

// refs names the kernels, for a snapshot.
func (c *contexts) refs() []api.KernelRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []api.KernelRef
	for _, x := range c.byID {
		ref := x.kernel.Ref()
		ref.Default = x.def
		list = append(list, ref)
	}
	for _, ref := range c.warm {
		ref.Default = true
		list = append(list, ref)
	}
	slices.SortFunc(list, func(a, b api.KernelRef) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// drop closes the kernels of a box that is gone.
func (c *contexts) drop(ctx context.Context) {
	c.mu.Lock()
	old := c.byID
	c.byID, c.warm = map[string]*cellContext{}, nil
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	for _, x := range old {
		_ = x.kernel.Close(ctx) // its process is gone already
	}
}

// resumeKernels takes up the interpreter sessions of a restored box.
func (sb *Sandbox) resumeKernels(ctx context.Context, box host.Session, refs []api.KernelRef) error {
	env := sb.record().Env
	for _, ref := range refs {
		if sb.svc.cfg.Kernels == nil {
			return errNoKernels()
		}
		k, err := sb.svc.cfg.Kernels.Resume(ctx, box, ref, Setting{Env: env})
		if err != nil {
			return api.Errorf(api.CodeOf(err), "cannot take up the interpreter session %.40q: because %w", ref.ID, err)
		}
		sb.cells.add(k, ref.Default)
	}
	return nil
}

func errNoKernels() error {
	return api.Errorf(api.CodeUnsupported, "cannot run code cells: because this server has no interpreters").WithFix("run a program with exec")
}

// languageOf normalises a language's name; Python is the default.
func languageOf(name string) string {
	switch name {
	case "", "py", "python3":
		return "python"
	case "js", "node", "nodejs":
		return "javascript"
	}
	return name
}

// OpenContext makes an interpreter session beside the default ones.
func (sb *Sandbox) OpenContext(ctx context.Context, language, cwd string) (api.CodeContext, error) {
	box, done, err := sb.use(ctx)
	if err != nil {
		return api.CodeContext{}, err
	}
	defer done()
	x, err := sb.open(ctx, box, languageOf(language), cwd, false)
	if err != nil {
		return api.CodeContext{}, err
	}
	return x.describe(), nil
}

func (sb *Sandbox) open(ctx context.Context, box host.Session, language, cwd string, def bool) (*cellContext, error) {
	if sb.svc.cfg.Kernels == nil {
		return nil, errNoKernels()
	}
	sb.cells.mu.Lock()
	n := len(sb.cells.byID)
	sb.cells.mu.Unlock()
	if n >= maxContexts {
		return nil, api.Errorf(api.CodeExhausted, "cannot open an interpreter session: because the sandbox has %d", n).WithFix("close one of them")
	}
	k, err := sb.svc.cfg.Kernels.Open(ctx, box, language, cmp.Or(cwd, api.WorkDir))
	if err != nil {
		return nil, err
	}
	return sb.cells.add(k, def), nil
}

func (x *cellContext) describe() api.CodeContext {
	ref := x.kernel.Ref()
	return api.CodeContext{ID: ref.ID, Language: ref.Language, Cwd: ref.Cwd, Default: x.def}
}

// Contexts lists the interpreter sessions.
func (sb *Sandbox) Contexts() []api.CodeContext {
	sb.cells.mu.Lock()
	defer sb.cells.mu.Unlock()
	list := []api.CodeContext{}
	for _, x := range sb.cells.byID {
		list = append(list, x.describe())
	}
	slices.SortFunc(list, func(a, b api.CodeContext) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// context finds a session; the default one of a language is opened when it is
// first asked for, and begins in cwd.
func (sb *Sandbox) context(ctx context.Context, box host.Session, id, language, cwd string) (*cellContext, error) {
	select { // so that two first cells do not open two
	case sb.cells.opening <- struct{}{}:
		defer func() { <-sb.cells.opening }()
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeCancelled, "cannot run the cell: because the caller went away")
	}
	if x := sb.cells.find(id, language); x != nil {
		return x, nil
	}
	if id != "" {
		return nil, api.Errorf(api.CodeNotFound, "cannot find the interpreter session %.80q: because sandbox %s has none", id, sb.id).
			WithFix("open one, or leave it out for the default one")
	}
	if k := sb.openWarm(ctx, box, language, cwd); k != nil {
		return sb.cells.add(k, true), nil
	}
	return sb.open(ctx, box, language, cwd, true)
}

// openWarm takes up the session that came with the template; nil when there is none
// that works, and a new one has to be opened.
func (sb *Sandbox) openWarm(ctx context.Context, box host.Session, language, cwd string) Kernel {
	sb.cells.mu.Lock()
	i := slices.IndexFunc(sb.cells.warm, func(r api.KernelRef) bool { return r.Language == language })
	var ref api.KernelRef
	if i >= 0 {
		ref = sb.cells.warm[i]
		sb.cells.warm = slices.Delete(slices.Clone(sb.cells.warm), i, i+1)
	}
	sb.cells.mu.Unlock()
	if i < 0 || sb.svc.cfg.Kernels == nil {
		return nil
	}
	k, err := sb.svc.cfg.Kernels.Resume(ctx, box, ref, Setting{Cwd: cwd, Env: sb.record().Env})
	if err != nil {
		sb.svc.log.Warn("the template's interpreter session is of no use", "id", sb.id, "language", language, "error", err)
		return nil
	}
	return k
}

func (c *contexts) find(id, language string) *cellContext {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != "" {
		return c.byID[id]
	}
	for _, x := range c.byID {
		if x.def && x.kernel.Ref().Language == language {
			return x
		}
	}
	return nil
}

// RunCode runs one cell; on, which may be nil, is told what it says while it
// runs. An exception, or the cell's timeout, is no error.
func (sb *Sandbox) RunCode(ctx context.Context, req api.CodeRequest, on func(api.CodeEvent)) (api.CodeExecution, error) {
	timeout := defaultCellTime
	if req.TimeoutSeconds != 0 {
		timeout = seconds(req.TimeoutSeconds)
	}
	if timeout < time.Millisecond || timeout > maxExecTime {
		return api.CodeExecution{}, badTime("timeout", req.TimeoutSeconds)
	}
	for name, value := range req.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return api.CodeExecution{}, api.Errorf(api.CodeInvalid, "cannot set the variable %.40q: because such a name or value cannot be", name).
				WithFix("use names without = and values without NUL")
		}
	}
	if on == nil {
		on = func(api.CodeEvent) {}
	}
	box, done, err := sb.use(ctx)
	if err != nil {
		return api.CodeExecution{}, err
	}
	defer done()
	x, err := sb.context(ctx, box, req.Context, languageOf(req.Language), req.Cwd)
	if err != nil {
		return api.CodeExecution{}, sb.explain(box, err)
	}
	note := audit.From(ctx)
	note.Code(sb.owner, sb.id, req.Code)
	res, err := x.kernel.Run(ctx, Cell{Code: req.Code, Env: req.Env, Timeout: timeout}, on)
	if err != nil {
		return res, sb.explain(box, err)
	}
	verdict := "ok"
	switch {
	case res.TimedOut:
		verdict = "timeout"
	case res.Restarted:
		verdict = "restarted"
	case res.Error != nil:
		verdict = "error"
	}
	note.Outcome(verdict)
	sb.event("cell", "context", x.kernel.Ref().ID, "verdict", verdict)
	return res, nil
}

// RestartContext gives a session a new, empty kernel.
func (sb *Sandbox) RestartContext(ctx context.Context, id string) error {
	return sb.withContext(ctx, id, func(x *cellContext) error { return x.kernel.Restart(ctx) })
}

// CloseContext ends a session.
func (sb *Sandbox) CloseContext(ctx context.Context, id string) error {
	return sb.withContext(ctx, id, func(x *cellContext) error {
		sb.cells.mu.Lock()
		delete(sb.cells.byID, id)
		sb.cells.mu.Unlock()
		return x.kernel.Close(ctx)
	})
}

// withContext does something with a session, whatever runs in it.
func (sb *Sandbox) withContext(ctx context.Context, id string, do func(*cellContext) error) error {
	box, done, err := sb.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	x, err := sb.context(ctx, box, cmp.Or(id, "\x00"), "", "")
	if err != nil {
		return err
	}
	return do(x)
}
