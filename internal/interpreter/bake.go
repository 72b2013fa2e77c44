package interpreter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/guest"
	"github.com/brigdev/brig/internal/interpreter/kernel"
)

// bakeTimeout bounds the start and the warm-up of a kernel that is baked.
const bakeTimeout = 50 * time.Second

// Bake starts a kernel in a box that is about to be kept as a template's
// snapshot, and warms it up. When it returns, the kernel waits for its first
// cell and says nothing; Resume takes it up by the reference.
func Bake(ctx context.Context, client *guest.Client, env map[string]string, language string) (api.KernelRef, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bakeTimeout, fmt.Errorf("it was not warm within %s", bakeTimeout))
	defer cancel()
	language, err := kernel.Language(language)
	if err != nil {
		return api.KernelRef{}, err
	}
	conn, said := kernel.NewConn(), newProgram(ctx)
	defer said.cancel()
	program, err := client.Launch(ctx, guest.ExecRequest{
		Flags: guest.ExecKeep, Argv: kernel.Argv(language), Cwd: api.WorkDir, Env: env,
	}, guest.Streams{Stdin: conn.In, Stdout: conn, Stderr: said})
	if err != nil {
		return api.KernelRef{}, err
	}
	listening, leave := context.WithCancel(ctx)
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, err := program.Wait(listening)
		conn.Close(errors.Join(errors.New("the kernel has ended"), err))
	}()
	err = warm(ctx, conn, language)
	leave() // the program goes on: nobody listens to it any more
	<-left
	if err != nil {
		return api.KernelRef{}, fmt.Errorf("%w: %.300q", err, said.words)
	}
	return api.KernelRef{ID: "default-" + language, Language: language, Cwd: api.WorkDir, PID: program.PID()}, nil
}

// warm waits until the kernel is ready and has it run the warm-up cell.
func warm(ctx context.Context, conn *kernel.Conn, language string) error {
	select {
	case <-conn.Ready():
	case <-conn.Ended():
		return conn.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	failed := ""
	call, err := conn.Send(kernel.Request{
		Op: kernel.OpWarm, Code: kernel.WarmUp(language), OutputBytes: DefaultOutputBytes, ResultBytes: DefaultResultBytes,
	}, func(e kernel.Event) {
		if e.Type == kernel.TypeError {
			failed = clip(e.Traceback, lastWords)
		}
	})
	if err != nil {
		return err
	}
	defer conn.Abandon(call)
	select {
	case <-call.Done():
	case <-conn.Ended():
		return conn.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if failed != "" {
		return api.Errorf(api.CodeInvalid, "cannot warm up the %s kernel: because its first cell failed: %s", language, failed)
	}
	return nil
}
