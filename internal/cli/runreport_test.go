package cli

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
)

func TestTextOf(t *testing.T) {
	for _, in := range []string{"", "plain", "ünï", "a\xffb", "\x00\x01"} {
		b := bytes.NewBufferString(in)
		text, b64 := textOf(b)
		got := text
		if b64 != "" {
			raw, err := base64.StdEncoding.DecodeString(b64)
			if err != nil {
				t.Fatal(err)
			}
			got = string(raw)
		}
		if got != in {
			t.Errorf("%q came back as %q", in, got)
		}
	}
}

func TestVerdictLine(t *testing.T) {
	l := api.DefaultLimits()
	for v, want := range map[api.Verdict]string{
		api.OK: "", api.Nonzero: "", api.Signal: "",
		api.Timeout:     "timeout after 20s (limit --timeout)",
		api.CPUTime:     "cpu_time after 3s of processor time (limit --cpu-time)",
		api.OOM:         "oom at 512MiB (limit --memory)",
		api.PIDs:        "pids at 128 processes and threads (limit --pids)",
		api.DiskFull:    "disk_full at 512MiB (limit --disk)",
		api.OutputLimit: "output_limit after 1MiB (limit --output-limit)",
		api.Cancelled:   "cancelled: the caller went away",
	} {
		r := api.ExecResult{Verdict: v, Usage: api.Usage{CPUMS: 3000}}
		if v == api.Cancelled {
			r.Evidence.Reason = "the caller\nwent away"
		}
		if got := verdictLine(r, l); got != want {
			t.Errorf("%s: got %q, want %q", v, got, want)
		}
	}
}

func TestVerdictLineStartsOnItsOwnLine(t *testing.T) {
	for stderr, want := range map[string]string{
		"":        "brig: timeout after 1s (limit --timeout)\n",
		"half":    "half\nbrig: timeout after 1s (limit --timeout)\n",
		"whole\n": "whole\nbrig: timeout after 1s (limit --timeout)\n",
	} {
		var out bytes.Buffer
		env := &Env{Stderr: &out}
		track := &liveStream{w: &out}
		track.Write([]byte(stderr))
		j := &runJob{spec: api.SandboxSpec{Limits: api.Limits{Timeout: time.Second}}}
		err := j.report(env, runEnd{result: api.ExecResult{Verdict: api.Timeout}, stderr: track})
		if exitCode(err) != 124 {
			t.Errorf("exit code %d", exitCode(err))
		}
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
