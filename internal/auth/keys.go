// Package auth keeps the keys of a service: secrets that name an owner. A key is
// shown once, when it is made; the file has only its hash.
package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
)

// LocalOwner is who the caller of a unix socket is, and a key that names nobody.
const LocalOwner = "local"

// secretPrefix begins every secret, so that scanners of leaked keys know them.
const secretPrefix = "brig_"

// prefixLen is how much of a secret is shown and kept, to tell keys apart.
const prefixLen = len(secretPrefix) + 6

// Key is one key, without its secret.
type Key struct {
	Prefix    string    `json:"prefix"` // of the secret
	Label     string    `json:"label,omitempty"`
	Owner     string    `json:"owner"`
	Hash      string    `json:"hash,omitempty"` // SHA-256 of the secret
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
}

// Keys is the keys in one file. All methods may be called concurrently, by several
// processes too.
type Keys struct {
	path string

	mu    sync.Mutex
	list  []Key
	stamp fileStamp // of what list was read from
}

// Open reads the keys in path, which need not exist yet.
func Open(path string) (*Keys, error) {
	k := &Keys{path: path}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k, k.refresh()
}

// List gives all keys, the oldest first, without their hashes.
func (k *Keys) List() ([]Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.refresh()
	list := []Key{}
	for _, key := range k.list {
		key.Hash = ""
		list = append(list, key)
	}
	return list, err
}

// Mint makes a key; ttl 0 means that it does not expire.
func (k *Keys) Mint(label, owner string, ttl time.Duration) (Key, string, error) {
	if len(label) > 100 || len(owner) > 100 || ttl < 0 {
		return Key{}, "", api.Errorf(api.CodeInvalid, "cannot make a key: because its label or owner is too long, or its ttl negative").
			WithFix("use at most 100 characters")
	}
	secret := secretPrefix + strings.ToLower(rand.Text()) // 130 random bits
	key := Key{Prefix: secret[:prefixLen], Label: label, Owner: cmp.Or(owner, LocalOwner), Hash: hashOf(secret), CreatedAt: time.Now().UTC()}
	if ttl > 0 {
		key.ExpiresAt = key.CreatedAt.Add(ttl)
	}
	err := k.edit(func(list []Key) ([]Key, error) { return append(list, key), nil })
	key.Hash = ""
	return key, secret, err
}

// Revoke removes the key with this prefix. CodeNotFound.
func (k *Keys) Revoke(prefix string) error {
	return k.edit(func(list []Key) ([]Key, error) {
		n := len(list)
		list = slices.DeleteFunc(list, func(key Key) bool { return key.Prefix == prefix })
		if len(list) == n {
			return nil, api.Errorf(api.CodeNotFound, "cannot revoke %.40q: because there is no such key", prefix).
				WithFix("list them with 'brig key ls'")
		}
		return list, nil
	})
}

// Check finds the key with this secret. It compares with all of them, in constant
// time.
func (k *Keys) Check(secret string) (Key, bool) {
	hash := []byte(hashOf(secret))
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refresh() != nil { // a file that cannot be read admits nobody
		return Key{}, false
	}
	var found Key
	ok := false
	for _, key := range k.list {
		expired := !key.ExpiresAt.IsZero() && time.Now().After(key.ExpiresAt)
		if subtle.ConstantTimeCompare(hash, []byte(key.Hash)) == 1 && !expired {
			found, ok = key, true
		}
	}
	found.Hash = ""
	return found, ok
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// fileStamp tells one content of the file from another.
type fileStamp struct {
	size int64
	time time.Time
}

// refresh reads the file if it has changed. The caller holds mu.
func (k *Keys) refresh() error {
	st, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.list, k.stamp = nil, fileStamp{}
		return nil
	}
	if err != nil {
		return badFile(err)
	}
	stamp := fileStamp{st.Size(), st.ModTime()}
	if stamp == k.stamp {
		return nil
	}
	b, err := os.ReadFile(k.path)
	if err != nil {
		return badFile(err)
	}
	var list []Key
	if err := json.Unmarshal(b, &list); err != nil {
		return badFile(err)
	}
	k.list, k.stamp = list, stamp
	return nil
}

// edit changes the file while no other process does.
func (k *Keys) edit(change func([]Key) ([]Key, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	lock, err := os.OpenFile(k.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return badFile(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return badFile(err)
	}
	k.stamp = fileStamp{}
	if err := k.refresh(); err != nil {
		return err
	}
	list, err := change(k.list)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return badFile(err)
	}
	tmp := filepath.Join(filepath.Dir(k.path), ".keys.part")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return badFile(err)
	}
	if err := os.Rename(tmp, k.path); err != nil {
		return badFile(err)
	}
	k.stamp = fileStamp{}
	return k.refresh()
}

func badFile(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot use the file of keys: because %w", err).
		WithFix("make it readable and valid, or remove it and make new keys with 'brig key create'")
}
