package host

import (
	"context"
	"io"
	"io/fs"

	"github.com/brigdev/brig/api"
)

// owned is a session whose new files belong to somebody else.
type owned struct {
	*session
	owner api.User
}

// For implements Session.
func (s *session) For(owner api.User) Session { return &owned{s, owner} }

// Put writes a file inside, parents made.
func (o *owned) Put(ctx context.Context, name string, mode fs.FileMode, r io.Reader) error {
	name, err := o.fileOp(name)
	if err != nil {
		return err
	}
	return o.fileError(ctx, "put "+name, o.client.PutFor(ctx, &o.owner, name, mode, r))
}

// Mkdir makes a directory and its parents; one that exists is no error.
func (o *owned) Mkdir(ctx context.Context, name string, mode fs.FileMode) error {
	name, err := o.fileOp(name)
	if err != nil {
		return err
	}
	return o.fileError(ctx, "make the directory "+name, o.client.MkdirFor(ctx, &o.owner, name, mode))
}
