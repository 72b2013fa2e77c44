package mcp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

// toolset adds tools to one caller's server.
type toolset struct {
	server  *sdk.Server
	c       *client.Client
	sandbox string // that all tools are about; "" lets each call name one
}

// result is what a tool gives: out as structured content, and what a model reads,
// which is out as JSON where shown is nil.
type result[Out any] struct {
	out   Out
	shown []sdk.Content
}

// add adds a tool that names no sandbox.
func add[In, Out any](t *toolset, tool *sdk.Tool, run func(context.Context, In) (result[Out], error)) {
	sdk.AddTool(t.server, tool, func(ctx context.Context, _ *sdk.CallToolRequest, in In) (*sdk.CallToolResult, Out, error) {
		r, err := run(ctx, in)
		if err != nil {
			return nil, r.out, told(err)
		}
		return &sdk.CallToolResult{Content: r.shown}, r.out, nil
	})
}

// Target names the sandbox that a call is about.
type Target struct {
	Sandbox string `json:"sandbox_id" jsonschema:"the sandbox's id, or its name"`
}

func (t Target) target() string { return t.Sandbox }

// addFor adds a tool about a sandbox. Where the toolset has one already, the tool
// does not ask which.
func addFor[In interface{ target() string }, Out any](t *toolset, tool *sdk.Tool, run func(context.Context, *client.Sandbox, In) (result[Out], error)) {
	if t.sandbox != "" {
		tool.InputSchema = withoutTarget[In]()
	}
	add(t, tool, func(ctx context.Context, in In) (result[Out], error) {
		return run(ctx, t.c.Sandboxes.Open(cmp.Or(t.sandbox, in.target())), in)
	})
}

// withoutTarget is the schema of In without sandbox_id.
func withoutTarget[In any]() *jsonschema.Schema {
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		panic(err) // In is a type of this package: the tests make all of them
	}
	delete(schema.Properties, "sandbox_id")
	isTarget := func(name string) bool { return name == "sandbox_id" }
	schema.Required = slices.DeleteFunc(schema.Required, isTarget)
	schema.PropertyOrder = slices.DeleteFunc(schema.PropertyOrder, isTarget)
	return schema
}

// told is an error as a model reads it: what went wrong and what mends it.
func told(err error) error {
	if fix := api.FixOf(err); fix != "" {
		return fmt.Errorf("%w\n%s", err, fix)
	}
	return err
}

// maxText is how much of one output a model is shown, in bytes: more would push all
// else out of its memory.
const maxText = 48 << 10

// clip keeps the head and the tail of a long text.
func clip(s string) (text string, cut bool) {
	if len(s) <= maxText {
		return s, false
	}
	head, tail := maxText/2, len(s)-maxText/2
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", s[:head], tail-head, s[tail:]), true
}

// text is content of lines; empty ones are left out.
func text(parts ...string) *sdk.TextContent {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return &sdk.TextContent{Text: strings.Join(parts, "\n")}
}

func readOnly(title string) *sdk.ToolAnnotations {
	return &sdk.ToolAnnotations{Title: title, ReadOnlyHint: true, OpenWorldHint: new(bool)}
}

// changing is for a tool that changes a sandbox only, or with harm takes something
// away for good.
func changing(title string, harm bool) *sdk.ToolAnnotations {
	return &sdk.ToolAnnotations{Title: title, DestructiveHint: &harm, OpenWorldHint: new(bool)}
}
