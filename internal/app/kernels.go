package app

import (
	"context"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/host"
	"github.com/brigdev/brig/internal/interpreter"
)

// kernels are the interpreters as control asks for them.
type kernels struct{}

var _ control.Kernels = kernels{}

// Open starts a session.
func (kernels) Open(ctx context.Context, box host.Session, language, cwd string) (control.Kernel, error) {
	k, err := interpreter.Open(ctx, box, language, interpreter.Options{Cwd: cwd})
	if err != nil {
		return nil, err
	}
	return kernel{k}, nil
}

// Resume takes one up after a restore.
func (kernels) Resume(ctx context.Context, box host.Session, ref api.KernelRef, to control.Setting) (control.Kernel, error) {
	k, err := interpreter.Resume(ctx, box, ref, interpreter.Options{Cwd: to.Cwd, Env: to.Env})
	if err != nil {
		return nil, err
	}
	return kernel{k}, nil
}

type kernel struct{ *interpreter.Kernel }

// Run runs one cell.
func (k kernel) Run(ctx context.Context, c control.Cell, on func(api.CodeEvent)) (api.CodeExecution, error) {
	return k.Kernel.Run(ctx, c.Code, interpreter.RunOptions{Timeout: c.Timeout, Env: c.Env, Sink: on})
}
