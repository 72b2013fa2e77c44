package client

import (
	"bytes"
	"context"
	"path"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

// Provider is all that a program which runs generated code needs of where it runs.
// Brig is one; a program that is written to it can be given another, or a fake.
type Provider interface {
	// Execute runs a line of shell to its end, or to its timeout; 0 is the provider's
	// own. A program that fails is no error.
	Execute(ctx context.Context, command string, timeout time.Duration) (Execution, error)
	// UploadFile makes a file, parents included. A relative path is below the directory
	// that commands run in.
	UploadFile(ctx context.Context, path string, content []byte) error
	// DownloadFile gives a file's content, exactly.
	DownloadFile(ctx context.Context, path string) ([]byte, error)
	// Cleanup gives everything back. It may be called more than once.
	Cleanup(ctx context.Context) error
}

// Execution is the end of a command.
type Execution struct {
	Stdout, Stderr string
	ExitCode       int // as a shell has it: 128+n for signal n, 124 for a timeout
	TimedOut       bool
	Duration       time.Duration
}

// SandboxProvider is a Provider with one sandbox, which is made at its first use and
// destroyed by Cleanup; a use after that makes another. It may be used concurrently.
type SandboxProvider struct {
	c      *Client
	create api.CreateRequest

	mu sync.Mutex
	sb *Sandbox
}

var _ Provider = (*SandboxProvider)(nil)

// NewProvider prepares a provider whose sandbox is made as create says. Nothing is
// sent yet.
func NewProvider(c *Client, create api.CreateRequest) *SandboxProvider {
	return &SandboxProvider{c: c, create: create}
}

// Sandbox is the one that all is done in, for what a Provider has no call for.
func (p *SandboxProvider) Sandbox(ctx context.Context) (*Sandbox, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sb == nil {
		sb, err := p.c.Sandboxes.Create(ctx, p.create)
		if err != nil {
			return nil, err
		}
		p.sb = sb
	}
	return p.sb, nil
}

// Execute implements Provider. Commands run in /work.
func (p *SandboxProvider) Execute(ctx context.Context, command string, timeout time.Duration) (Execution, error) {
	sb, err := p.Sandbox(ctx)
	if err != nil {
		return Execution{}, err
	}
	res, err := sb.Exec(ctx, api.ExecRequest{Cmd: command, TimeoutSeconds: timeout.Seconds()})
	if err != nil {
		return Execution{}, err
	}
	return Execution{res.Stdout, res.Stderr, res.ExitCode, res.TimedOut, time.Duration(res.DurationMS) * time.Millisecond}, nil
}

// UploadFile implements Provider.
func (p *SandboxProvider) UploadFile(ctx context.Context, name string, content []byte) error {
	sb, err := p.Sandbox(ctx)
	if err != nil {
		return err
	}
	return sb.Files.Write(ctx, inWork(name), 0o644, bytes.NewReader(content))
}

// DownloadFile implements Provider.
func (p *SandboxProvider) DownloadFile(ctx context.Context, name string) ([]byte, error) {
	sb, err := p.Sandbox(ctx)
	if err != nil {
		return nil, err
	}
	return sb.Files.Read(ctx, inWork(name))
}

// Cleanup implements Provider.
func (p *SandboxProvider) Cleanup(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sb == nil {
		return nil
	}
	err := p.sb.Delete(ctx)
	if api.CodeOf(err) == api.CodeNotFound { // its time was over
		err = nil
	}
	if err == nil {
		p.sb = nil
	}
	return err
}

// inWork makes a path absolute.
func inWork(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(api.WorkDir, name)
}
