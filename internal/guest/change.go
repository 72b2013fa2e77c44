package guest

import (
	"context"
	"io/fs"

	"github.com/brigdev/brig/api"
)

// Mkdir makes a directory and its parents, the program's user's own; one that
// exists is no error.
func (c *Client) Mkdir(ctx context.Context, path string, mode fs.FileMode) error {
	return c.MkdirFor(ctx, nil, path, mode)
}

// MkdirFor is Mkdir for another owner, as PutFor.
func (c *Client) MkdirFor(ctx context.Context, owner *api.User, path string, mode fs.FileMode) error {
	return c.order(ctx, TypeMkdir, ownedBy(Fields(nil).String(path).U32(uint32(mode.Perm())), owner), "make a directory")
}

// Remove deletes a name, a directory with all that is in it only if recursive.
// Symlinks are deleted, not followed.
func (c *Client) Remove(ctx context.Context, path string, recursive bool) error {
	everything := uint32(0)
	if recursive {
		everything = 1
	}
	return c.order(ctx, TypeRemove, Fields(nil).String(path).U32(everything), "remove a file")
}

// Rename moves a name, replacing a file that is in its way.
func (c *Client) Rename(ctx context.Context, from, to string) error {
	return c.order(ctx, TypeRename, Fields(nil).String(from).String(to), "rename a file")
}

// Symlink makes a symbolic link, its parents made; target is stored as it is.
func (c *Client) Symlink(ctx context.Context, target, path string) error {
	return c.order(ctx, TypeSymlink, Fields(nil).String(target).String(path), "make a symlink")
}
