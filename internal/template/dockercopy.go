package template

import (
	"context"
	"path"
	"strconv"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/rootfs"
	"github.com/brigdev/brig/internal/users"
)

// place puts what was gathered at its destination.
func (b *dockerBuild) place(ctx context.Context, tree *rootfs.Tree, c *dockerfile.Copy, g *gathered) (*rootfs.Tree, error) {
	var owner users.Account
	if c.Chown != "" {
		var err error
		if owner, err = findAccount(tree, c.Chown); err != nil {
			return nil, api.Errorf(api.CodeInvalid, "--chown=%s is nobody here: %w", c.Chown, err)
		}
	}
	delta := rootfs.NewDelta(rootfs.Limits{})
	dest, there := tree.Resolve(c.Dest)
	dir := g.dir || there.IsDir()
	parent := dest
	if !dir {
		parent = path.Dir(dest)
	}
	if err := makeDirs(delta, tree, parent, owner); err != nil {
		return nil, err
	}
	for _, it := range g.items {
		n := it.node.Clone()
		n.MTime = image.Epoch
		if c.Chown != "" {
			n.UID, n.GID = owner.UID, owner.GID
		}
		if mode, err := strconv.ParseUint(c.Chmod, 8, 32); err == nil && n.Kind != image.Symlink {
			n.Mode = uint32(mode)
		}
		at := dest
		if dir {
			at = path.Join(dest, it.name)
		}
		if n.IsDir() && tree.Lookup(at).IsDir() && c.Chown == "" && c.Chmod == "" {
			continue // it keeps its attributes
		}
		if err := putThrough(delta, tree, at, n); err != nil {
			return nil, err
		}
	}
	return delta, nil
}

// putThrough puts a name where the symlinks of the tree below lead it.
func putThrough(delta, tree *rootfs.Tree, at string, n *rootfs.Node) error {
	dir, there := tree.Resolve(path.Dir(at))
	if there == nil {
		dir = path.Dir(at) // it is new
	}
	return delta.Put(path.Join(dir, path.Base(at)), n)
}
