// Package auth keeps the keys of a service: secrets that name an owner and what
// may be done for it. A key is shown once, when it is made; the file has only its
// hash.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/durable"
)

// Key is one key, without its secret.
type Key struct {
	Prefix    string    `json:"prefix"` // of the secret
	Label     string    `json:"label,omitempty"`
	Owner     string    `json:"owner"`
	Scopes    []Scope   `json:"scopes,omitempty"` // none: ScopeAll
	Hash      string    `json:"hash,omitempty"`   // SHA-256 of the secret
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

// minNamed is how much of a key's beginning names it.
const minNamed = 8

// Revoke removes the key that has this beginning, as far as it is kept, or is this
// secret. CodeNotFound; CodeConflict when several keys begin so.
func (k *Keys) Revoke(name string) error { return k.RevokeOf("", name) }

// RevokeOf is Revoke for keys of one owner; "" means everybody's.
func (k *Keys) RevokeOf(owner, name string) error {
	hash := hashOf(name)
	return k.edit(func(list []Key) ([]Key, error) {
		n := len(list)
		list = slices.DeleteFunc(list, func(key Key) bool {
			named := len(name) >= minNamed && strings.HasPrefix(key.Prefix, name) || key.hasHash(hash)
			return named && (owner == "" || key.Owner == owner)
		})
		switch n - len(list) {
		case 0:
			return nil, api.Errorf(api.CodeNotFound, "cannot revoke %.12q: because there is no such key", name).
				WithFix("list them with 'brig key ls'")
		case 1:
			return list, nil
		}
		return nil, api.Errorf(api.CodeConflict, "cannot revoke %.12q: because several keys begin so", name).WithFix("name more of it")
	})
}

// Owners counts the owners that have keys; after a failure it is that of the last
// good reading.
func (k *Keys) Owners() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.refresh() // Check and List say what is wrong
	owners := map[string]bool{}
	for _, key := range k.list {
		owners[key.Owner] = true
	}
	return len(owners)
}

// Check finds the key with this secret. It compares with all of them, in constant
// time.
func (k *Keys) Check(secret string) (Key, bool) {
	hash := hashOf(secret)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refresh() != nil { // a file that cannot be read admits nobody
		return Key{}, false
	}
	var found Key
	ok := false
	for _, key := range k.list {
		expired := !key.ExpiresAt.IsZero() && time.Now().After(key.ExpiresAt)
		if key.hasHash(hash) && !expired {
			found, ok = key, true
		}
	}
	found.Hash = ""
	return found, ok
}

// hasHash compares in constant time.
func (k Key) hasHash(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hash)) == 1
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// fileStamp tells one content of the file from another. Times may be as coarse as
// a kernel's tick, so the inode is part of it: every change is another file.
type fileStamp struct {
	inode uint64
	size  int64
	time  time.Time
}

func stampOf(st fs.FileInfo) fileStamp {
	s := fileStamp{size: st.Size(), time: st.ModTime()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
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
	stamp := stampOf(st)
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
	list, err := change(slices.Clone(k.list))
	if err != nil {
		return err
	}
	if err := durable.WriteJSON(k.path, list); err != nil {
		return badFile(err)
	}
	k.stamp = fileStamp{}
	return k.refresh()
}

func badFile(err error) error {
	return api.Errorf(api.CodeUnavailable, "cannot use the file of keys: because %w", err).
		WithFix("make it readable and valid, or remove it and make new keys with 'brig key create'")
}
