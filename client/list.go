package client

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// pageSize is how many are asked for at a time.
const pageSize = 200

// Filter chooses sandboxes; the zero value is all that live.
type Filter struct {
	Ended                       bool     // those that are no more, too
	Statuses                    []string // only these, ended ones among them
	Template, Name              string
	CreatedAfter, CreatedBefore time.Time
	Metadata                    map[string]string
}

func (f Filter) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Ended {
		q.Set("all", "1")
	}
	set("status", strings.Join(f.Statuses, ","))
	set("template", f.Template)
	set("name", f.Name)
	for name, t := range map[string]time.Time{"created_after": f.CreatedAfter, "created_before": f.CreatedBefore} {
		if !t.IsZero() {
			q.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	for k, v := range f.Metadata {
		q.Set("metadata."+k, v)
	}
	return q
}

// All gives the sandboxes that f chooses, the newest first, a page at a time. An
// error is the last thing that it gives.
func (s Sandboxes) All(ctx context.Context, f Filter) iter.Seq2[api.Sandbox, error] {
	return func(yield func(api.Sandbox, error) bool) {
		q := f.query()
		q.Set("limit", strconv.Itoa(pageSize))
		for {
			list, next, err := s.page(ctx, q)
			if err != nil {
				yield(api.Sandbox{}, err)
				return
			}
			for _, sb := range list {
				if !yield(sb, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			q.Set("cursor", next)
		}
	}
}

// page gives one page and the cursor of the next, "" for none.
func (s Sandboxes) page(ctx context.Context, q url.Values) (list []api.Sandbox, next string, err error) {
	resp, err := s.c.send(ctx, http.MethodGet, "/v1/sandboxes", q, nil, nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&list); err != nil {
		return nil, "", broken(ctx, err)
	}
	return list, resp.Header.Get("X-Next-Cursor"), nil
}
