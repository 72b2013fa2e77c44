package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/brigdev/brig/api"
)

func TestExitCode(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"nothing":        {nil, 0},
		"a program's":    {&ExitError{Code: 7}, 7},
		"invalid":        {api.Errorf(api.CodeInvalid, "x"), 2},
		"not found":      {api.Errorf(api.CodeNotFound, "x"), 2},
		"unavailable":    {api.Errorf(api.CodeUnavailable, "x"), 125},
		"exhausted":      {api.Errorf(api.CodeExhausted, "x"), 125},
		"cancelled":      {api.Errorf(api.CodeCancelled, "x"), 130},
		"unclassed":      {errors.New("x"), 125},
		"wrapped":        {fmt.Errorf("while: %w", api.Errorf(api.CodeInvalid, "x")), 2},
		"broken pipe":    {fmt.Errorf("write: %w", syscall.EPIPE), 141},
		"first of joint": {errors.Join(api.Errorf(api.CodeNotFound, "x"), errors.New("y")), 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(tc.err); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestVerdictExitCode(t *testing.T) {
	three := 3
	want := map[api.Verdict]int{
		api.OK: 0, api.Nonzero: 3, api.Signal: 128 + 11, api.Timeout: 124, api.CPUTime: 152, api.OOM: 137,
		api.PIDs: 122, api.DiskFull: 123, api.OutputLimit: 153, api.BadResult: 121,
		api.Cancelled: 130, api.Unknown: 125, api.Infra: 125,
	}
	for _, v := range api.Verdicts() {
		code, ok := want[v]
		if !ok {
			t.Errorf("%s is not in this table: add it here and to docs/verdicts.md", v)
		}
		r := api.ExecResult{Verdict: v, Signal: "SIGSEGV"}
		if v == api.Nonzero {
			r.ExitCode = &three
		}
		if got := verdictExitCode(r); got != code {
			t.Errorf("%s: got %d, want %d", v, got, code)
		}
	}
}

func TestPrintError(t *testing.T) {
	err := fmt.Errorf("while testing: %w", api.Errorf(api.CodeNotFound, "cannot find it:\nbecause it is gone").WithFix("make it"))
	var b bytes.Buffer
	printError(&b, err, false)
	if want := "brig: while testing: cannot find it: because it is gone\nfix: make it\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	printError(&b, err, true)
	var got map[string]string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["code"] != "not_found" || got["fix"] != "make it" || got["error"] == "" || len(got) != 3 {
		t.Errorf("got %v", got)
	}
	for _, quiet := range []error{nil, &ExitError{Code: 3}, syscall.EPIPE} {
		b.Reset()
		printError(&b, quiet, false)
		if b.Len() > 0 {
			t.Errorf("%v printed %q", quiet, b.String())
		}
	}
}
