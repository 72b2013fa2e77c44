package mcp

import (
	"context"
	"encoding/json"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
)

// maxListed bounds list_sandboxes.
const maxListed = 200

func (t *toolset) addSandboxes() {
	add(t, &sdk.Tool{
		Name: "create_sandbox", Annotations: changing("Create a sandbox", false),
		Description: "Make a sandbox that keeps its files and variables until its deadline, or until destroy_sandbox.",
	}, t.create)
	add(t, &sdk.Tool{
		Name: "list_sandboxes", Annotations: readOnly("List sandboxes"),
		Description: "List the sandboxes that live, the newest first.",
	}, t.list)
	addFor(t, &sdk.Tool{
		Name: "fork_sandbox", Annotations: changing("Fork a sandbox", false),
		Description: "Copy a running sandbox at this moment: files, programs and variables. It goes on; each copy is a sandbox of its own. " +
			"For trying several ways from one state.",
	}, forkSandbox)
	addFor(t, &sdk.Tool{
		Name: "destroy_sandbox", Annotations: changing("Destroy a sandbox", true),
		Description: "Destroy a sandbox with all that is in it.",
	}, destroySandbox)
}

// Create is what create_sandbox takes.
type Create struct {
	Template     string            `json:"template,omitempty" jsonschema:"such as code-interpreter or python; default: the server's own"`
	FromSnapshot string            `json:"from_snapshot,omitempty" jsonschema:"a snapshot's id, instead of a template"`
	Name         string            `json:"name,omitempty"`
	TTL          float64           `json:"ttl_seconds,omitempty" jsonschema:"wall clock from now until it is destroyed; default 3600"`
	Env          map[string]string `json:"env,omitempty" jsonschema:"environment of every command"`
	Metadata     map[string]any    `json:"metadata,omitempty" jsonschema:"your own words about it; numbers are kept as text"`
}

// Sandbox is one sandbox as a model is told of it.
type Sandbox struct {
	ID        string    `json:"sandbox_id"`
	Name      string    `json:"name,omitempty"`
	Status    string    `json:"status"`
	Template  string    `json:"template"`
	Isolation api.Rung  `json:"isolation" jsonschema:"the kind of boundary around it"`
	ExpiresAt time.Time `json:"expires_at"`
	Parent    string    `json:"parent_id,omitempty" jsonschema:"what it was forked from"`
}

func describe(sb api.Sandbox) Sandbox {
	return Sandbox{sb.ID, sb.Name, sb.Status, sb.Template, sb.Isolation, sb.ExpiresAt, sb.ParentID}
}

func (t *toolset) create(ctx context.Context, in Create) (result[Sandbox], error) {
	sb, err := t.c.Sandboxes.Create(ctx, api.CreateRequest{
		Template: in.Template, FromSnapshot: in.FromSnapshot, Name: in.Name, TTLSeconds: in.TTL, Env: in.Env, Metadata: asText(in.Metadata),
	})
	if err != nil {
		return result[Sandbox]{}, err
	}
	return result[Sandbox]{out: describe(sb.Info)}, nil
}

// asText makes text of values that are none: models put their own things in.
func asText(values map[string]any) map[string]string {
	texts := map[string]string{}
	for k, v := range values {
		text, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v) // it was read from JSON
			text = string(b)
		}
		texts[k] = text
	}
	return texts
}

// Sandboxes is what list_sandboxes and fork_sandbox give.
type Sandboxes struct {
	Sandboxes []Sandbox `json:"sandboxes"`
	More      int       `json:"more,omitempty" jsonschema:"how many were left out"`
}

func describeAll(list []api.Sandbox) Sandboxes {
	out := Sandboxes{Sandboxes: []Sandbox{}, More: max(0, len(list)-maxListed)}
	for _, sb := range list[:min(len(list), maxListed)] {
		out.Sandboxes = append(out.Sandboxes, describe(sb))
	}
	return out
}

func (t *toolset) list(ctx context.Context, _ struct{}) (result[Sandboxes], error) {
	list, err := t.c.Sandboxes.List(ctx, false)
	return result[Sandboxes]{out: describeAll(list)}, err
}

// Fork is what fork_sandbox takes.
type Fork struct {
	Target
	Count int `json:"count,omitempty" jsonschema:"how many copies, default 1, at most 64"`
}

func forkSandbox(ctx context.Context, sb *client.Sandbox, in Fork) (result[Sandboxes], error) {
	res, err := sb.Fork(ctx, api.ForkRequest{Count: in.Count})
	return result[Sandboxes]{out: describeAll(res.Children)}, err
}

// Destroy is what destroy_sandbox takes.
type Destroy struct {
	Target
}

// Destroyed is what destroy_sandbox gives.
type Destroyed struct {
	ID string `json:"destroyed"`
}

func destroySandbox(ctx context.Context, sb *client.Sandbox, _ Destroy) (result[Destroyed], error) {
	return result[Destroyed]{out: Destroyed{sb.ID}}, sb.Delete(ctx)
}
