package e2b

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Signature is what E2B's clients sign a file's URL with: it admits whoever has the
// URL to one operation, "read" or "write", on one path as one user, until a time
// in Unix seconds as it is written in the URL ("": for ever).
func Signature(path, operation, user, token, expires string) string {
	parts := []string{path, operation, user, token}
	if expires != "" {
		parts = append(parts, expires)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
	return "v1_" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// signed tells whether a request for a file was signed with a token and is not too
// late.
func signed(r *http.Request, q url.Values, token string) bool {
	operation := "write"
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		operation = "read"
	case http.MethodPost:
	default:
		return false
	}
	expires := q.Get("signature_expiration")
	if expires != "" {
		t, err := strconv.ParseInt(expires, 10, 64)
		if err != nil || time.Now().Unix() > t {
			return false
		}
	}
	return same(q.Get("signature"), Signature(q.Get("path"), operation, q.Get("username"), token, expires))
}

// same compares a secret in constant time; no secret is like "".
func same(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
