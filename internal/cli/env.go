package cli

import (
	"context"
	"io"
	"log/slog"

	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/driver"
)

// Env is all that a command gets from outside: streams, the switches that hold
// for every command, and the way to a working Brig. Tests put a fake behind
// Open and Drivers and run the same command tree.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // results only; everything for people goes to Stderr
	Stderr io.Writer

	// Open builds a Brig; the caller closes it.
	Open func(ctx context.Context, o app.Options) (*app.App, error)
	// Drivers makes the drivers alone, for commands that run nothing with them.
	// The caller closes them with app.CloseDrivers.
	Drivers func(o app.Options) ([]driver.Driver, error)

	// Getenv reads one environment variable: os.Getenv, or a test's map.
	Getenv func(string) string

	JSON    bool // --json: results and errors are JSON
	Verbose bool // --verbose: debug logs on Stderr
}

// Log is the logger of a command: warnings only, unless --verbose.
func (e *Env) Log() *slog.Logger {
	level := slog.LevelWarn
	if e.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: level}))
}

// AppOptions is what every command opens Brig with; a command adds its own.
func (e *Env) AppOptions() (app.Options, error) {
	return app.DefaultOptions(e.Getenv, e.Log())
}
