package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
)

// TestMain lets the test binary be a Brig over the fake driver when a script
// starts it as brig-fake.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"brig-fake": func() { os.Exit(fakeMain()) }})
}

// fakeMain is Main with a driver that claims to be gvisor. $DOWN makes it say
// that this host can't.
func fakeMain() int {
	drivers := func(app.Options) ([]driver.Driver, error) {
		return []driver.Driver{fake.New(fake.Options{Rung: api.RungGVisor, Unavailable: os.Getenv("DOWN")})}, nil
	}
	return runMain(os.Args[1:], &Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Drivers: drivers,
		Open: func(ctx context.Context, o app.Options) (*app.App, error) {
			d, err := drivers(o)
			if err != nil {
				return nil, err
			}
			return app.OpenWith(ctx, o, d)
		},
	})
}

// TestScripts runs testdata/*.txtar: transcripts of Brig over the fake driver.
// Besides testscript's own commands there are
//
//	brig ARG...     run Brig; "! brig" wants an exit code other than 0
//	exitcode N      the last Brig's exit code
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("BRIG_DATA", e.WorkDir+"/.data")
			e.Setenv("BRIG_STATE", e.WorkDir+"/.state")
			e.Values[exitCodeKey{}] = new(int)
			e.Defer(func() { stopServers(t, e.WorkDir+"/.state") })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"brig": scriptBrig, "exitcode": scriptExitCode,
		},
	})
}

// stopServers ends the server that a script's commands have started, if any.
func stopServers(t *testing.T, stateDir string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := stopServer(ctx, stateDir); err != nil {
		t.Errorf("stop the server: %v", err)
	}
}

type exitCodeKey struct{}

func scriptBrig(ts *testscript.TestScript, neg bool, args []string) {
	code := 0
	if err := ts.Exec("brig-fake", args...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Check(err)
		}
		code = exit.ExitCode()
	}
	*ts.Value(exitCodeKey{}).(*int) = code
	if neg == (code == 0) {
		ts.Fatalf("brig %s: exit code %d", strings.Join(args, " "), code)
	}
}

func scriptExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: exitcode N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := *ts.Value(exitCodeKey{}).(*int); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
