package template

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The layer cache is build-cache/: for each step that was carried out, what it
// changed. keys/KEY.json says which layer a step gave, KEY being a hash of all
// that the step depends on; layers/DIGEST.tar is the layer, under a lock while a
// build uses it. Both appear by a rename, the key last. What is not used for the
// longest goes when the layers are larger than a limit.

// DefaultBuildCache is how large the layer cache grows.
const DefaultBuildCache = 10 << 30

// cacheKey is keys/KEY.json.
type cacheKey struct {
	Version int    `json:"version"`
	Text    string `json:"text"`            // the step, for people
	Layer   string `json:"layer,omitempty"` // digest
	Bytes   int64  `json:"bytes,omitempty"` // of the layer
	Image   string `json:"image,omitempty"` // or the digest of a finished image
}

// keyOf hashes what a step depends on.
func keyOf(parts ...any) string {
	h := sha256.New()
	for _, p := range parts {
		data, _ := json.Marshal(p) // strings and structs of strings: it cannot fail
		h.Write(append(data, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c *Catalog) keyPath(key string) string { return c.path("build-cache", "keys", key+".json") }
func (c *Catalog) layerPath(digest string) string {
	return c.path("build-cache", "layers", hexOf(digest)+".tar")
}

// cached gives what a key stands for, when that can be used; a layer is held.
func (c *Catalog) cached(ctx context.Context, key string) (cacheKey, bool) {
	var k cacheKey
	if readJSON(c.keyPath(key), &k) != nil || k.Version != recordVersion {
		return k, false
	}
	if k.Layer != "" {
		path := c.layerPath(k.Layer)
		if c.hold(path) != nil {
			return k, false
		}
		if err := c.intact(ctx, path, k.Layer, k.Bytes); err != nil {
			c.log.Warn("a cached layer is not used", "layer", k.Layer, "error", err)
			c.unhold(path)
			return k, false
		}
	}
	now := time.Now()
	_ = os.Chtimes(c.keyPath(key), now, now) // when it was used last
	return k, true
}

// keepLayer takes what write writes as the layer of a key, and holds it.
func (c *Catalog) keepLayer(ctx context.Context, key, text string, write func(w io.Writer) error) (cacheKey, error) {
	f, err := os.CreateTemp(c.scratch, "layer-*")
	if err != nil {
		return cacheKey{}, fileError("write", c.scratch, err)
	}
	defer os.Remove(f.Name()) // fails after the rename
	h := sha256.New()
	if err := write(io.MultiWriter(f, h)); err != nil {
		f.Close()
		return cacheKey{}, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		f.Close()
		return cacheKey{}, fileError("write", f.Name(), err)
	}
	k := cacheKey{Version: recordVersion, Text: text, Layer: "sha256:" + hex.EncodeToString(h.Sum(nil)), Bytes: size}
	path := c.layerPath(k.Layer)
	if c.hold(path) == nil && c.intact(ctx, path, k.Layer, k.Bytes) == nil {
		f.Close()
		return k, c.writeJSON(c.keyPath(key), k) // another step gave the same
	}
	c.unhold(path)
	if err := c.adopt(ctx, f, path); err != nil {
		return cacheKey{}, err
	}
	return k, c.writeJSON(c.keyPath(key), k)
}

// keepImage remembers the image that a whole build gave.
func (c *Catalog) keepImage(key, text, digest string) error {
	return c.writeJSON(c.keyPath(key), cacheKey{Version: recordVersion, Text: text, Image: digest})
}

// CacheReport is what a sweep of the layer cache did, or would do.
type CacheReport struct {
	Layers  int   `json:"layers"` // that are there
	Bytes   int64 `json:"bytes"`
	Removed int   `json:"removed"`
	Freed   int64 `json:"freed_bytes"`
}

// trimCache removes the layers that were not used for the longest until the rest
// fits, and those that no key names. Layers of a running build stay.
func (c *Catalog) trimCache(limit int64, dryRun bool) CacheReport {
	var report CacheReport
	keys := c.cacheKeys()
	keep, total := map[string]bool{}, int64(0)
	for _, k := range keys { // newest first
		if k.Layer == "" || keep[k.Layer] {
			continue
		}
		if total+k.Bytes <= limit {
			keep[k.Layer] = true
			total += k.Bytes
		}
	}
	layers, _ := filepath.Glob(c.path("build-cache", "layers", "*.tar"))
	for _, path := range layers {
		st, err := os.Stat(path)
		if err != nil {
			continue
		}
		report.Layers++
		report.Bytes += st.Size()
		if keep["sha256:"+strings.TrimSuffix(filepath.Base(path), ".tar")] {
			continue
		}
		unlock, ok := unused(path)
		if !ok {
			continue
		}
		report.Removed++
		report.Freed += st.Size()
		if !dryRun {
			c.removed(path, os.Remove(path))
			_ = os.Remove(path + ".checked")
		}
		unlock()
	}
	if !dryRun {
		c.dropKeys(keys)
	}
	return report
}

// usedKey is a key and when it was used last.
type usedKey struct {
	cacheKey
	path string
	used time.Time
}

// cacheKeys lists the keys, what was used last first.
func (c *Catalog) cacheKeys() []usedKey {
	paths, _ := filepath.Glob(c.path("build-cache", "keys", "*.json"))
	var keys []usedKey
	for _, path := range paths {
		k := usedKey{path: path}
		if st, err := os.Stat(path); err == nil && readJSON(path, &k.cacheKey) == nil {
			k.used = st.ModTime()
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b usedKey) int {
		return cmp.Or(b.used.Compare(a.used), strings.Compare(a.path, b.path))
	})
	return keys
}

// dropKeys removes the keys whose layer or image is gone.
func (c *Catalog) dropKeys(keys []usedKey) {
	for _, k := range keys {
		path := c.layerPath(k.Layer)
		if k.Image != "" {
			path = c.imagePath(k.Image)
		}
		if _, err := os.Stat(path); os.IsNotExist(err) {
			c.removed(k.path, os.Remove(k.path))
		}
	}
}
