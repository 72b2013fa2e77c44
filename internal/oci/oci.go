// Package oci reads container images: from an OCI layout (a directory, or a tar
// of one), from what 'docker save' writes, and from a registry.
//
// Nothing of an image is believed before its digest fits: an index names a
// manifest by digest, that a configuration, and that what each layer must be
// when it is unpacked. Documents are bounded, layers are unpacked as streams, and
// their files go into an internal/rootfs tree, never to a path of this host.
package oci

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/rootfs"
)

// Bounds of an image that is read.
const (
	maxDocument = 4 << 20 // an index, manifest or configuration
	maxLayers   = 256
)

// Config is what an image says about running programs in it.
type Config struct {
	Env        []string          `json:"Env,omitempty"` // NAME=VALUE
	WorkingDir string            `json:"WorkingDir,omitempty"`
	User       string            `json:"User,omitempty"`
	Entrypoint []string          `json:"Entrypoint,omitempty"`
	Cmd        []string          `json:"Cmd,omitempty"`
	Shell      []string          `json:"Shell,omitempty"`
	Labels     map[string]string `json:"Labels,omitempty"`
}

// Image is an image that can be unpacked. Close it.
type Image struct {
	// Digest is that of the configuration, which names every layer's content:
	// images with the same digest are the same.
	Digest string
	Config Config

	diffs  []string // of each layer, unpacked
	layers []opener // bottom first
	closer io.Closer
}

// opener gives a layer as it is stored, compressed or not.
type opener func(ctx context.Context) (io.ReadCloser, error)

// Close ends the reading.
func (i *Image) Close() error {
	if i.closer == nil {
		return nil
	}
	return i.closer.Close()
}

// configFile is the part of an image's configuration that we read.
type configFile struct {
	Config Config `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// newImage takes a configuration whose digest was checked.
func newImage(name, digest string, config []byte, layers []opener) (*Image, error) {
	var c configFile
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, bad(name, "its configuration is no JSON: %v", err)
	}
	if len(layers) > maxLayers {
		return nil, bad(name, "it has %d layers and %d are the most", len(layers), maxLayers)
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return nil, bad(name, "it has %d layers and its configuration describes %d", len(layers), len(c.RootFS.DiffIDs))
	}
	for _, d := range c.RootFS.DiffIDs {
		if !isDigest(d) {
			return nil, bad(name, "%q is no sha256 digest", clip(d))
		}
	}
	return &Image{Digest: digest, Config: c.Config, diffs: c.RootFS.DiffIDs, layers: layers}, nil
}

// Unpack applies the image's layers, bottom first, to an empty tree.
// Errors: CodeInvalid when a layer is not what the image says or is hostile.
func (i *Image) Unpack(ctx context.Context, t *rootfs.Tree, spool *rootfs.Spool) error {
	for n, open := range i.layers {
		if err := i.unpack(ctx, n, open, t, spool); err != nil {
			return err
		}
	}
	return nil
}

func (i *Image) unpack(ctx context.Context, n int, open opener, t *rootfs.Tree, spool *rootfs.Spool) error {
	raw, err := open(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	l, err := newLayerReader(raw)
	if err != nil {
		return badLayer(n, err)
	}
	defer l.close()
	if err := t.Apply(ctx, l, spool); err != nil {
		return err
	}
	// A tar may end before its file does; the digest is of all of it.
	if _, err := io.Copy(io.Discard, l); err != nil {
		return badLayer(n, err)
	}
	if got := l.digest(); got != i.diffs[n] {
		return api.Errorf(api.CodeInvalid, "cannot unpack the image: because layer %d has the digest %s and its configuration says %s", n+1, got, i.diffs[n]).
			WithFix("fetch the image again: it is damaged")
	}
	return nil
}

func badLayer(n int, err error) error {
	if api.CodeOf(err) != api.CodeInternal {
		return err
	}
	return api.Errorf(api.CodeInvalid, "cannot unpack the image: because layer %d cannot be read: %w", n+1, err).
		WithFix("fetch the image again: it is damaged or cut short")
}

// bad says what is wrong with an image.
func bad(name, format string, args ...any) *api.Error {
	return api.Errorf(api.CodeInvalid, "cannot read the image "+strings.ReplaceAll(name, "%", "%%")+": because "+format, args...).
		WithFix("name an OCI layout, an archive of 'docker save' or 'skopeo copy', or docker://NAME:TAG")
}

// clip bounds what an image says of itself before it is printed.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
