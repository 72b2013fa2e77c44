package cli

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/app"
	"github.com/brigdev/brig/internal/driver"
	"github.com/brigdev/brig/internal/driver/fake"
)

// TestScripts runs testdata/*.txtar: transcripts of the real command tree over
// the fake driver, which claims to be gvisor. Besides testscript's own commands
// there are
//
//	brig ARG...     run Brig in this process; "! brig" wants a code other than 0
//	exitcode N      the last Brig's exit code
//	input FILE      stdin of the next Brig
//
// $DOWN in the script's environment makes the fake say that this host can't.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("BRIG_DATA", e.WorkDir+"/.data")
			e.Setenv("BRIG_STATE", e.WorkDir+"/.state")
			e.Values[lastRun{}] = &lastRun{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"brig": scriptBrig, "exitcode": scriptExitCode, "input": scriptInput,
		},
		UpdateScripts: *update,
	})
}

// lastRun is what a script knows between its commands.
type lastRun struct {
	code  int
	stdin string
}

func scriptBrig(ts *testscript.TestScript, neg bool, args []string) {
	last := ts.Value(lastRun{}).(*lastRun)
	fakes := func(app.Options) ([]driver.Driver, error) {
		return []driver.Driver{fake.New(fake.Options{Rung: api.RungGVisor, Unavailable: ts.Getenv("DOWN")})}, nil
	}
	env := &Env{
		Stdin: strings.NewReader(last.stdin), Stdout: ts.Stdout(), Stderr: ts.Stderr(),
		Getenv: ts.Getenv, Drivers: fakes,
		Open: func(ctx context.Context, o app.Options) (*app.App, error) {
			drivers, err := fakes(o)
			if err != nil {
				return nil, err
			}
			return app.OpenWith(ctx, o, drivers)
		},
	}
	last.stdin = ""
	last.code = inDir(ts, func() int { return Execute(context.Background(), args, env) })
	switch {
	case neg && last.code == 0:
		ts.Fatalf("brig %s succeeded", strings.Join(args, " "))
	case !neg && last.code != 0:
		ts.Fatalf("brig %s: exit code %d", strings.Join(args, " "), last.code)
	}
}

// inDir runs f in the script's working directory. Scripts therefore run one
// after the other, as they do without t.Parallel.
func inDir(ts *testscript.TestScript, f func() int) int {
	old, err := os.Getwd()
	ts.Check(err)
	ts.Check(os.Chdir(ts.MkAbs(".")))
	defer func() { ts.Check(os.Chdir(old)) }()
	return f()
}

func scriptExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: exitcode N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := ts.Value(lastRun{}).(*lastRun).code; got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptInput(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: input FILE")
	}
	ts.Value(lastRun{}).(*lastRun).stdin = ts.ReadFile(args[0])
}
