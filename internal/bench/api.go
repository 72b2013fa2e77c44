package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/client"
	"github.com/brigdev/brig/internal/host"
)

// Embedded is create, exec of true and destroy, by calls of the library.
func Embedded(h host.Host, template string, cpu func() (time.Duration, bool)) Subject {
	l := Lab{Host: h}
	return Subject{
		Name: "library", CPU: cpu,
		Means: "a sandbox of template " + template + " is made, `true` runs in it, it is destroyed; by calls of the embedded library",
		One: func(ctx context.Context) (Sample, error) {
			start := time.Now()
			box, err := l.session(ctx, template)
			if err != nil {
				return Sample{}, err
			}
			err = do(ctx, box, "true")
			tti := time.Since(start)
			err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx)))
			return Sample{Total: time.Since(start), TTI: tti}, err
		},
	}
}

// Served is the same by requests to a server.
func Served(c *client.Client, template string, cpu func() (time.Duration, bool)) Subject {
	return Subject{
		Name: "API", CPU: cpu,
		Means: "the same by three requests over TCP: POST /v1/sandboxes, POST …/exec, DELETE",
		One: func(ctx context.Context) (Sample, error) {
			start := time.Now()
			sb, err := c.Sandboxes.Create(ctx, api.CreateRequest{Template: template, TTLSeconds: 600})
			if err != nil {
				return Sample{}, err
			}
			res, err := sb.Exec(ctx, api.ExecRequest{Argv: []string{"true"}})
			tti := time.Since(start)
			if err == nil && res.ExitCode != 0 {
				err = fmt.Errorf("true ended with %d", res.ExitCode)
			}
			err = errors.Join(err, sb.Delete(context.WithoutCancel(ctx)))
			return Sample{Total: time.Since(start), TTI: tti}, err
		},
	}
}
