package template

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/dockerfile"
	"github.com/brigdev/brig/internal/image"
	"github.com/brigdev/brig/internal/oci"
	"github.com/brigdev/brig/internal/rootfs"
)

// gathered is what a COPY copies: names below its destination.
type gathered struct {
	items  []item
	dir    bool   // the destination is a directory
	digest string // of names, attributes and content
}

// item is one name; "" is the destination itself.
type item struct {
	name string
	node *rootfs.Node
}

// maxCopied bounds the names that one COPY copies.
const maxCopied = 200_000

// gather finds and reads the sources of a COPY.
func (b *dockerBuild) gather(ctx context.Context, stage int, c *dockerfile.Copy) (*gathered, error) {
	g := &gathered{dir: strings.HasSuffix(c.Dest, "/")}
	for _, doc := range c.Files {
		g.items = append(g.items, item{doc.Name, rootfs.FileOf([]byte(doc.Data))})
	}
	var err error
	if c.From != "" {
		err = b.gatherStage(ctx, stage, c, g)
	} else if len(c.Sources) > 0 {
		err = b.gatherContext(ctx, c, g)
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(g.items, func(x, y item) int { return strings.Compare(x.name, y.name) })
	return g, g.sum(ctx)
}

// sum hashes what was gathered.
func (g *gathered) sum(ctx context.Context) error {
	h := sha256.New()
	fmt.Fprintln(h, g.dir)
	for _, it := range g.items {
		if ctx.Err() != nil {
			return api.Errorf(api.CodeCancelled, "cannot go on building: %w", context.Cause(ctx))
		}
		n := it.node
		fmt.Fprintf(h, "%q %d %o %d %d %d %q\n", it.name, n.Kind, n.Mode, n.UID, n.GID, n.Size, n.Target)
		if n.Kind == image.File {
			if _, err := io.Copy(h, n.Reader()); err != nil {
				return err
			}
		}
	}
	g.digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

func (g *gathered) add(name string, n *rootfs.Node) error {
	if len(g.items) == maxCopied {
		return fmt.Errorf("more than %d files are copied", maxCopied)
	}
	n.MTime = image.Epoch
	g.items = append(g.items, item{name, n})
	return nil
}

// readIgnore reads the build's .dockerignore.
func (b *dockerBuild) readIgnore() error {
	const most = 1 << 20
	f, err := os.Open(filepath.Join(b.o.Context, ".dockerignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return api.Errorf(api.CodeInvalid, "cannot read the .dockerignore: because of %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	b.ignore = dockerfile.ParseIgnore(data)
	return err
}

// gatherContext reads sources of the build's directory. Nothing outside of it is
// reached, whatever its symlinks say.
func (b *dockerBuild) gatherContext(ctx context.Context, c *dockerfile.Copy, g *gathered) error {
	root, err := os.OpenRoot(b.o.Context)
	if err != nil {
		return api.Errorf(api.CodeInvalid, "cannot read the build's directory: because of %w", err).WithFix("name it with --context")
	}
	defer root.Close()
	for _, src := range c.Sources {
		names, err := b.glob(root, src)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := b.gatherName(ctx, root, name, c, g); err != nil {
				return err
			}
		}
	}
	if len(g.items) > 1 && !g.dir && len(c.Sources)+len(c.Files) > 1 {
		g.dir = true
	}
	return nil
}

// glob gives the names that a source means.
func (b *dockerBuild) glob(root *os.Root, src string) ([]string, error) {
	if src == "" {
		src = "."
	}
	names := []string{src}
	if strings.ContainsAny(src, "*?[") {
		var err error
		if names, err = fs.Glob(root.FS(), src); err != nil {
			return nil, fmt.Errorf("the pattern %q is malformed", src)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		_, err := root.Stat(n)
		return err != nil || n != "." && b.ignore.Match(n) && !b.ignore.Excepts()
	})
	if len(names) == 0 {
		return nil, api.Errorf(api.CodeInvalid, "there is no %q in the build's directory, or .dockerignore leaves it out", src).
			WithFix("sources are relative to --context")
	}
	return names, nil
}

func (b *dockerBuild) gatherName(ctx context.Context, root *os.Root, name string, c *dockerfile.Copy, g *gathered) error {
	st, err := root.Stat(name)
	if err != nil {
		return err
	}
	if st.IsDir() {
		g.dir = true
		return b.gatherDir(ctx, root, name, g)
	}
	n, err := b.read(ctx, root, name)
	if err != nil {
		return err
	}
	if c.Unpack {
		if done, err := b.unpack(ctx, n, g); done || err != nil {
			return err
		}
	}
	return g.add(path.Base(name), n)
}

// gatherDir takes what is in a directory, not the directory itself.
func (b *dockerBuild) gatherDir(ctx context.Context, root *os.Root, dir string, g *gathered) error {
	return fs.WalkDir(root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return api.Errorf(api.CodeCancelled, "cannot go on building: %w", context.Cause(ctx))
		}
		if p == dir {
			return nil
		}
		if b.ignore.Match(p) {
			if d.IsDir() && !b.ignore.Excepts() {
				return fs.SkipDir
			}
			if !d.IsDir() {
				return nil
			}
		}
		name := strings.TrimPrefix(p, dir+"/")
		if dir == "." {
			name = p
		}
		return b.gatherEntry(ctx, root, p, name, d, g)
	})
}

func (b *dockerBuild) gatherEntry(ctx context.Context, root *os.Root, p, name string, d fs.DirEntry, g *gathered) error {
	switch {
	case d.IsDir():
		if b.ignore.Match(p) {
			return nil // only what is taken back below it
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		return g.add(name, &rootfs.Node{Kind: image.Dir, Mode: uint32(st.Mode().Perm())})
	case d.Type()&fs.ModeSymlink != 0:
		target, err := root.Readlink(p)
		if err != nil {
			return err
		}
		return g.add(name, &rootfs.Node{Kind: image.Symlink, Mode: 0o777, Target: target})
	case d.Type().IsRegular():
		n, err := b.read(ctx, root, p)
		if err != nil {
			return err
		}
		return g.add(name, n)
	}
	return nil // sockets and the like
}

// read takes a file of the build's directory into the spool, so that what is
// hashed is what is copied.
func (b *dockerBuild) read(ctx context.Context, root *os.Root, name string) (*rootfs.Node, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", name)
	}
	n, err := b.spool.Add(ctx, f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	n.Mode = uint32(st.Mode().Perm())
	return n, nil
}

// unpack takes what is in an archive that ADD adds. It reports whether the file
// was one.
func (b *dockerBuild) unpack(ctx context.Context, n *rootfs.Node, g *gathered) (bool, error) {
	l, err := oci.Decompress(n.Reader())
	if err != nil {
		return false, nil
	}
	defer l.Close()
	src := bufio.NewReader(l)
	head, _ := src.Peek(512)
	if _, err := tar.NewReader(bytes.NewReader(head)).Next(); err != nil {
		return false, nil
	}
	t := rootfs.New(rootfs.Limits{})
	if err := t.Apply(ctx, src, b.spool); err != nil {
		return true, err
	}
	g.dir = true
	return true, t.Walk(func(p string, n *rootfs.Node, _ string) error {
		if p == "" {
			return nil
		}
		c := n.Clone()
		return g.add(p[1:], c)
	})
}

// gatherStage takes sources from another stage, a template or an image.
func (b *dockerBuild) gatherStage(ctx context.Context, stage int, c *dockerfile.Copy, g *gathered) error {
	var from *files
	if on := b.file.Before(c.From, stage); on >= 0 {
		from = b.stages[on].files
	} else {
		other, err := b.open(ctx, c.From)
		if err != nil {
			return err
		}
		from = b.files(other)
	}
	tree, err := from.look(ctx)
	if err != nil {
		return err
	}
	for _, src := range c.Sources {
		if err := gatherTree(tree, src, g); err != nil {
			return fmt.Errorf("of --from=%s: %w", c.From, err)
		}
	}
	return nil
}

func gatherTree(tree *rootfs.Tree, src string, g *gathered) error {
	names := []string{"/" + src}
	if strings.ContainsAny(src, "*?[") {
		dir, pattern := path.Split("/" + src)
		_, n := tree.Resolve(dir)
		if names = nil; n.IsDir() {
			for _, name := range n.Names() {
				if ok, _ := path.Match(pattern, name); ok {
					names = append(names, dir+name)
				}
			}
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no %q", "/"+src)
	}
	for _, name := range names {
		_, n := tree.Resolve(name)
		switch {
		case n == nil:
			return fmt.Errorf("there is no %q", name)
		case n.IsDir():
			g.dir = true
			if err := gatherBelow(n, "", g, 0); err != nil {
				return err
			}
		default:
			if err := g.add(path.Base(name), owned(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// gatherBelow takes what is in a directory of a tree.
func gatherBelow(dir *rootfs.Node, prefix string, g *gathered, depth int) error {
	for _, name := range dir.Names() {
		n := dir.Child(name)
		if err := g.add(prefix+name, owned(n)); err != nil {
			return err
		}
		if n.IsDir() {
			if err := gatherBelow(n, prefix+name+"/", g, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// owned is a copy that belongs to root, as what COPY copies does.
func owned(n *rootfs.Node) *rootfs.Node {
	c := n.Clone()
	c.UID, c.GID = 0, 0
	return c
}
