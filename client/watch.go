package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/brigdev/brig/api"
)

// Watch tells what changes in a directory, with recursive also below it, until ctx
// ends, give fails or the directory is gone (CodeNotFound). ready, which may be nil,
// is called once the watch is on. CodeExhausted when changes were lost, because give
// was too slow for them, or when there are too many directories.
func (f Files) Watch(ctx context.Context, path string, recursive bool, ready func(), give func(api.FileChange) error) error {
	query := url.Values{"path": {path}, "recursive": {strconv.FormatBool(recursive)}}
	err := f.sb.c.events(ctx, http.MethodGet, f.sb.path("/fs/watch"), query, nil, func(e event) error {
		switch e.Name {
		case "ready":
			if ready != nil {
				ready()
			}
		case "change":
			var c api.FileChange
			if err := json.Unmarshal(e.Data, &c); err != nil {
				return broken(ctx, err)
			}
			return give(c)
		}
		return nil
	})
	if err == nil { // a watch has no end of its own
		err = api.Errorf(api.CodeUnavailable, "cannot watch %s any more: because the server ended the stream", path).WithFix("watch it again")
	}
	return err
}
