package mcp

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

const (
	// oneShotTTL is how long, in seconds, the sandbox of a single snippet may live
	// beyond the snippet's own time, if nobody comes to destroy it.
	oneShotTTL  = 60
	defaultCell = 30
	// richTemplate has libraries for data; others have the language alone.
	richTemplate = "code-interpreter"
	removeWithin = 30 * time.Second
)

func (t *toolset) addCode() {
	run := &sdk.Tool{
		Name: "run_code", Annotations: changing("Run code", false),
		Description: "Run Python or JavaScript in an interpreter that keeps its variables between calls to the same sandbox. " +
			"Gives stdout, stderr, the value of the last expression, and figures as images. " +
			"Without sandbox_id it runs in a new sandbox that is destroyed afterwards.",
	}
	if t.sandbox != "" {
		run.InputSchema = withoutTarget[RunCode]()
	}
	add(t, run, t.runCode)
	addFor(t, &sdk.Tool{
		Name: "exec", Annotations: changing("Run a command", false),
		Description: "Run a shell command in a sandbox and wait for its end. Gives stdout, stderr and the exit code.",
	}, runCommand)
}

// RunCode is what run_code takes.
type RunCode struct {
	Sandbox  string  `json:"sandbox_id,omitempty" jsonschema:"the sandbox to run it in; without one it runs in a new sandbox that is destroyed afterwards"`
	Code     string  `json:"code" jsonschema:"the source text of the cell"`
	Language string  `json:"language,omitempty" jsonschema:"python (default) or javascript"`
	Context  string  `json:"context,omitempty" jsonschema:"an interpreter session's id; default: the language's own"`
	Timeout  float64 `json:"timeout_seconds,omitempty" jsonschema:"wall clock in seconds, default 30; then the cell is interrupted"`
}

// Cell is what run_code gives. Binary values are among the contents only.
type Cell struct {
	Stdout   string              `json:"stdout"`
	Stderr   string              `json:"stderr"`
	Results  []map[string]string `json:"results" jsonschema:"the values shown, by MIME type; binary ones are among the contents and have an empty text here"`
	Error    *api.CodeError      `json:"error,omitempty" jsonschema:"the exception that ended the cell"`
	TimedOut bool                `json:"timed_out,omitempty"`
	// Restarted says that the interpreter died and a new one, empty, took its place.
	Restarted bool   `json:"restarted,omitempty" jsonschema:"the interpreter died and a new, empty one took its place"`
	Reason    string `json:"reason,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
	WallMS    int64  `json:"wall_ms"`
}

func (t *toolset) runCode(ctx context.Context, in RunCode) (result[Cell], error) {
	req := api.CodeRequest{Code: in.Code, Language: in.Language, Context: in.Context, TimeoutSeconds: in.Timeout}
	id := in.Sandbox
	if t.sandbox != "" {
		id = t.sandbox
	}
	if id != "" {
		return runCell(ctx, t.c.Sandboxes.Open(id), req)
	}
	sb, err := t.oneShot(ctx, in.Timeout)
	if err != nil {
		return result[Cell]{}, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
		defer cancel()
		_ = sb.Delete(ctx) // else its deadline does
	}()
	return runCell(ctx, sb, req)
}

// oneShot makes the sandbox of a single snippet.
func (t *toolset) oneShot(ctx context.Context, timeout float64) (*client.Sandbox, error) {
	if timeout <= 0 {
		timeout = defaultCell
	}
	req := api.CreateRequest{Template: richTemplate, TTLSeconds: timeout + oneShotTTL}
	sb, err := t.c.Sandboxes.Create(ctx, req)
	if code := api.CodeOf(err); err != nil && (code == api.CodeNotFound || code == api.CodeUnavailable) {
		req.Template = ""
		return t.c.Sandboxes.Create(ctx, req)
	}
	return sb, err
}

func runCell(ctx context.Context, sb *client.Sandbox, req api.CodeRequest) (result[Cell], error) {
	res, err := sb.RunCode(ctx, req, nil)
	if err != nil {
		return result[Cell]{}, err
	}
	cell := Cell{
		Results: []map[string]string{}, Error: res.Error, TimedOut: res.TimedOut,
		Restarted: res.Restarted, Reason: res.Reason, Truncated: res.Truncated, WallMS: res.WallMS,
	}
	var cutOut, cutErr bool
	cell.Stdout, cutOut = clip(res.Stdout)
	cell.Stderr, cutErr = clip(res.Stderr)
	cell.Truncated = cell.Truncated || cutOut || cutErr
	said := []string{cell.Stdout, cell.Stderr}
	var images []sdk.Content
	for _, r := range res.Results {
		values, image := show(r)
		cell.Results = append(cell.Results, values)
		if image != nil {
			images = append(images, image)
		} else {
			said = append(said, values["text/plain"])
		}
	}
	said = append(said, fate(res))
	return result[Cell]{cell, append([]sdk.Content{text(said...)}, images...)}, nil
}

// show splits a value into its texts and, where it has one, the image of it.
func show(r api.CodeResult) (values map[string]string, image *sdk.ImageContent) {
	values = map[string]string{}
	for _, mime := range slices.Sorted(maps.Keys(r.Data)) {
		if !strings.HasPrefix(mime, "image/") || mime == "image/svg+xml" {
			values[mime], _ = clip(r.Data[mime])
			continue
		}
		values[mime] = ""
		if b, err := base64.StdEncoding.DecodeString(r.Data[mime]); err == nil && image == nil {
			image = &sdk.ImageContent{Data: b, MIMEType: mime}
		}
	}
	return values, image
}

// fate says how a cell ended, unless it simply did.
func fate(res api.CodeExecution) string {
	switch {
	case res.Error != nil:
		trace, _ := clip(res.Error.Traceback)
		return trace
	case res.TimedOut:
		return "The cell was interrupted at its timeout; variables are kept."
	case res.Restarted:
		return fmt.Sprintf("The interpreter died (%s) and was started anew; variables are lost.", res.Reason)
	}
	return ""
}

// Exec is what exec takes.
type Exec struct {
	Target
	Command string            `json:"command" jsonschema:"a line for sh"`
	Cwd     string            `json:"cwd,omitempty" jsonschema:"absolute; default /work"`
	Env     map[string]string `json:"env,omitempty"`
	Stdin   string            `json:"stdin,omitempty"`
	Timeout float64           `json:"timeout_seconds,omitempty" jsonschema:"wall clock in seconds, default 300; then it is killed with all that it started"`
	Root    bool              `json:"root,omitempty" jsonschema:"run as root inside"`
}

// Ended is what exec gives.
type Ended struct {
	Stdout     string      `json:"stdout"`
	Stderr     string      `json:"stderr"`
	ExitCode   int         `json:"exit_code" jsonschema:"as a shell has it: 128+n for signal n, 124 for a timeout"`
	Verdict    api.Verdict `json:"verdict" jsonschema:"ok, nonzero, signal, timeout, oom, disk_full, output_limit or another limit's name"`
	TimedOut   bool        `json:"timed_out,omitempty"`
	Truncated  bool        `json:"truncated,omitempty"`
	DurationMS int64       `json:"duration_ms"`
}

func runCommand(ctx context.Context, sb *client.Sandbox, in Exec) (result[Ended], error) {
	res, err := sb.Exec(ctx, api.ExecRequest{
		Cmd: in.Command, Cwd: in.Cwd, Env: in.Env, Stdin: in.Stdin, TimeoutSeconds: in.Timeout, Root: in.Root,
	})
	if err != nil {
		return result[Ended]{}, err
	}
	out := Ended{ExitCode: res.ExitCode, Verdict: res.Verdict, TimedOut: res.TimedOut, Truncated: res.Truncated, DurationMS: res.DurationMS}
	var cutOut, cutErr bool
	out.Stdout, cutOut = clip(res.Stdout)
	out.Stderr, cutErr = clip(res.Stderr)
	out.Truncated = out.Truncated || cutOut || cutErr
	end := ""
	if res.Verdict != api.OK {
		end = fmt.Sprintf("[%s, exit code %d]", res.Verdict, res.ExitCode)
	}
	return result[Ended]{out, []sdk.Content{text(out.Stdout, out.Stderr, end)}}, nil
}
