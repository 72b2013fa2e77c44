package oci

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/brigdev/brig/api"
)

// Is tells whether a path is an OCI layout or an image archive, and not any
// other directory or tar.
func Is(ctx context.Context, name string) bool {
	f, err := openFiles(ctx, name, nil)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, marker := range []string{"oci-layout", "manifest.json"} {
		if r, size, err := f.open(marker); err == nil {
			r.Close()
			if size <= maxDocument {
				return true
			}
		}
	}
	return false
}

// OpenPath opens an OCI layout's directory, a tar of one, or an archive of
// 'docker save'; both may be compressed, and are unpacked into temp then. There
// must be one image for this machine in it, or one tagged with tag.
// Errors: CodeInvalid, CodeNotFound.
func OpenPath(ctx context.Context, name, tag string, temp *os.File) (*Image, error) {
	f, err := openFiles(ctx, name, temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, api.Errorf(api.CodeNotFound, "cannot read the image %s: because there is no such file", name)
	}
	if err != nil {
		return nil, wrap(name, err)
	}
	img, err := fromLayout(f, name, tag)
	if errors.Is(err, fs.ErrNotExist) {
		img, err = fromDocker(f, name, tag)
	}
	if err != nil {
		f.Close()
		return nil, wrap(name, err)
	}
	img.closer = f
	return img, nil
}

func wrap(name string, err error) error {
	if api.CodeOf(err) != api.CodeInternal {
		return err
	}
	return bad(name, "of %v", err)
}

// openFiles opens a directory or an archive. With temp nil a compressed archive
// is not looked into.
func openFiles(ctx context.Context, name string, temp *os.File) (files, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		root, err := os.OpenRoot(name)
		return dirFiles{root}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	t, err := openTar(ctx, f, temp)
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// descriptor names a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations"`
	Platform    *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// manifest is an index or an image's manifest: the fields do not overlap.
type manifest struct {
	Manifests []descriptor `json:"manifests"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
}

// fromLayout reads an OCI layout. fs.ErrNotExist when it is none.
func fromLayout(f files, name, tag string) (*Image, error) {
	if _, err := document(f, "oci-layout"); err != nil {
		return nil, err
	}
	data, err := document(f, "index.json")
	if err != nil {
		return nil, bad(name, "its index.json cannot be read: %v", err)
	}
	const deepest = 4 // an index may list indexes
	for range deepest {
		var m manifest
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, bad(name, "a manifest of it is no JSON: %v", err)
		}
		if m.Config.Digest != "" {
			return fromManifest(f, name, m)
		}
		d, err := choose(name, tag, m.Manifests)
		if err != nil {
			return nil, err
		}
		if data, err = blob(f, d.Digest); err != nil {
			return nil, bad(name, "of its manifest: %v", err)
		}
		tag = "" // it was found
	}
	return nil, bad(name, "its indexes lead nowhere")
}

// choose picks the one image of an index that is meant.
func choose(name, tag string, list []descriptor) (descriptor, error) {
	const refName = "org.opencontainers.image.ref.name"
	fits := slices.DeleteFunc(slices.Clone(list), func(d descriptor) bool {
		if d.Platform != nil && (d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH) {
			return true // attestations are here, too: of platform unknown
		}
		return tag != "" && d.Annotations[refName] != tag
	})
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) == 0 && tag != "":
		return descriptor{}, bad(name, "no image of it for linux/%s is tagged %q", runtime.GOARCH, tag)
	case len(fits) == 0:
		return descriptor{}, bad(name, "no image of it is for linux/%s", runtime.GOARCH)
	}
	return descriptor{}, bad(name, "it holds %d images", len(fits)).WithFix("say which one: oci:%s:TAG", name)
}

func fromManifest(f files, name string, m manifest) (*Image, error) {
	config, err := blob(f, m.Config.Digest)
	if err != nil {
		return nil, bad(name, "of its configuration: %v", err)
	}
	var layers []opener
	for _, l := range m.Layers {
		file, err := blobName(l.Digest)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layerOf(f, file))
	}
	return newImage(name, m.Config.Digest, config, layers)
}

// fromDocker reads what 'docker save' writes.
func fromDocker(f files, name, tag string) (*Image, error) {
	data, err := document(f, "manifest.json")
	if err != nil {
		return nil, bad(name, "it has neither an oci-layout nor a manifest.json")
	}
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, bad(name, "its manifest.json is of another kind: %v", err)
	}
	for _, m := range list {
		if tag != "" && !slices.Contains(m.RepoTags, tag) || tag == "" && len(list) > 1 {
			continue
		}
		config, err := document(f, m.Config)
		if err != nil {
			return nil, bad(name, "its configuration cannot be read: %v", err)
		}
		var layers []opener
		for _, l := range m.Layers {
			layers = append(layers, layerOf(f, l))
		}
		return newImage(name, digestOf(config), config, layers)
	}
	return nil, bad(name, "it holds %d images and none is tagged %q", len(list), tag).WithFix("say which one: oci:%s:NAME:TAG", filepath.Clean(name))
}
