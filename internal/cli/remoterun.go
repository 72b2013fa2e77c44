package cli

import (
	"context"
	"io"
	"io/fs"
	"path"
	"strconv"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/template"
)

// notRemote is for flags that mean something on this machine only.
func notRemote(flag string) error {
	return api.Errorf(api.CodeUnsupported, "cannot use %s: because BRIG_API names a server, and it has no such thing", flag).
		WithFix("leave it out, or unset BRIG_API to work on this machine")
}

// remoteMaker makes the sandbox of a `brig run` at a server.
type remoteMaker struct{ c *client.Client }

// remoteGrace is what a sandbox lives longer than its program may run: files are
// copied, too.
const remoteGrace = 30 * time.Minute

// create makes the sandbox of a job, and chooses its template.
func (m remoteMaker) create(ctx context.Context, j *runJob) (host.Sandbox, error) {
	if j.exec.CPUTime != 0 {
		return nil, notRemote("--cpu-time")
	}
	name, err := m.template(ctx, j)
	if err != nil {
		return nil, err
	}
	l := j.spec.Limits
	req := api.CreateRequest{
		Template: name, TTLSeconds: (l.Timeout + remoteGrace).Seconds(), Isolation: j.spec.Isolation, Egress: j.spec.Egress,
		Limits: api.Resources{MemoryBytes: l.MemoryBytes, CPUs: l.CPUs, PIDs: l.PIDs, DiskBytes: l.DiskBytes, OpenFiles: l.OpenFiles},
	}
	sb, err := m.c.Sandboxes.Create(ctx, req)
	if err != nil {
		return nil, err
	}
	return &remoteBox{sb}, nil
}

// template is as runJob.chooseTemplate has it, of the server's templates.
func (m remoteMaker) template(ctx context.Context, j *runJob) (string, error) {
	if j.spec.Template != "" {
		return j.spec.Template, nil
	}
	if j.exec.Language == "python" {
		_, err := m.c.Templates.Get(ctx, "python")
		if err == nil {
			return "python", nil
		}
		if api.CodeOf(err) != api.CodeNotFound {
			return "", err
		}
	}
	return template.HostName, nil
}

// remoteBox is a server's sandbox as `brig run` needs it.
type remoteBox struct{ sb *client.Sandbox }

var _ host.Sandbox = (*remoteBox)(nil)

// Info implements host.Sandbox.
func (b *remoteBox) Info() api.SandboxInfo {
	i := b.sb.Info
	return api.SandboxInfo{ID: i.ID, State: i.Status, Template: i.Template, Digest: i.Digest, Isolation: i.Isolation, Driver: i.Driver, CreatedAt: i.CreatedAt, Deadline: i.ExpiresAt}
}

// Put implements host.Sandbox.
func (b *remoteBox) Put(ctx context.Context, name string, mode fs.FileMode, r io.Reader) error {
	return b.sb.Files.Write(ctx, name, mode, r)
}

// Get implements host.Sandbox.
func (b *remoteBox) Get(ctx context.Context, name string, max int64, w io.Writer) (api.FileInfo, error) {
	e, err := b.sb.Files.Stat(ctx, name)
	if err != nil {
		return api.FileInfo{}, err
	}
	info := infoOf(e)
	if info.Kind != api.FileRegular || info.Size > max {
		return info, api.Errorf(api.CodeInvalid, "cannot read %.200q: because it is no regular file of at most %s", name, api.FormatBytes(max)).
			WithFix("name a smaller file, or archive a directory first")
	}
	body, err := b.sb.Files.Open(ctx, name, 0, -1)
	if err != nil {
		return info, err
	}
	defer body.Close()
	info.Size, err = io.Copy(w, io.LimitReader(body, max)) // it may have grown
	return info, err
}

// List implements host.Sandbox.
func (b *remoteBox) List(ctx context.Context, dir string, max int) ([]api.FileInfo, error) {
	list, err := b.sb.Files.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	var out []api.FileInfo
	for _, e := range list[:min(len(list), max)] {
		out = append(out, infoOf(e))
	}
	return out, nil
}

// infoOf is an entry as hosts tell of it.
func infoOf(e client.FileEntry) api.FileInfo {
	mode, _ := strconv.ParseUint(e.Mode, 8, 32) // 0 when the server says something else
	return api.FileInfo{Path: e.Path, Kind: e.Kind, Size: e.Size, Mode: uint32(mode), Target: e.Target}
}

// Exec implements host.Sandbox.
func (b *remoteBox) Exec(ctx context.Context, spec api.ExecSpec, stdio host.Stdio) (api.ExecResult, error) {
	req := api.ExecRequest{
		Argv: spec.Argv, Cwd: spec.Cwd, Env: spec.Env, TimeoutSeconds: spec.Timeout.Seconds(), OutputBytes: spec.OutputBytes,
	}
	if spec.Script != "" {
		req.Argv = []string{interpreterOf(spec.Language), path.Clean(spec.Script)}
	}
	resp, err := b.sb.Run(ctx, req, client.Stdio{Stdin: stdio.Stdin, Stdout: stdio.Stdout, Stderr: stdio.Stderr})
	if ctx.Err() != nil { // Ctrl-C: the server kills the program
		return api.ExecResult{Verdict: api.Cancelled}, nil
	}
	res := api.ExecResult{Verdict: resp.Verdict, Signal: resp.Signal, Usage: resp.Usage, Evidence: resp.Evidence, Truncated: resp.Truncated}
	if resp.Verdict == api.OK || resp.Verdict == api.Nonzero {
		res.ExitCode = &resp.ExitCode
	}
	return res, err
}

// interpreterOf is what runs a script, by the name that it has everywhere.
func interpreterOf(language string) string {
	switch language {
	case "python":
		return "python3"
	case "shell":
		return "sh"
	}
	return language
}

// Reset implements host.Sandbox. 'brig run' never asks for it.
func (b *remoteBox) Reset(context.Context) error {
	return api.Errorf(api.CodeUnsupported, "cannot reset the sandbox: because it is a server's, which resets none").WithFix("make a new one")
}

// Destroy implements host.Sandbox.
func (b *remoteBox) Destroy(ctx context.Context) error {
	err := b.sb.Delete(ctx)
	if api.CodeOf(err) == api.CodeNotFound {
		return nil
	}
	return err
}
