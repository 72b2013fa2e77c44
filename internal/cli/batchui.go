package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/brigdev/brig/internal/batch/progress"
)

// batchUI shows a run: events for programs, one live line on a terminal, lines
// elsewhere. The report at the end is the result, and goes to stdout.
func batchUI(env *Env) progress.UI {
	if env.JSON {
		return progress.NewEvents(env.Stdout)
	}
	f, ok := env.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progress.NewPlain(env.Stderr, env.Stdout)
	}
	width := func() int {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
		return 80
	}
	return progress.NewLive(f, env.Stdout, width)
}

// onUserSignal passes SIGUSR1 on, until quiet is called.
func onUserSignal(ctx context.Context) (ask <-chan struct{}, quiet func()) {
	signals, out := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGUSR1)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			select {
			case <-ctx.Done():
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}
