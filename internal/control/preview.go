package control

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// Bounds of preview tokens.
const (
	defaultPreview  = time.Hour
	maxPreview      = 7 * 24 * time.Hour
	maxPreviewPaths = 16
	maxPreviewPath  = 200 // bytes
	maxToken        = 8 << 10
)

// claims is what a preview token says. It is signed with a secret of the sandbox's
// own, so it ends with the sandbox and admits to no copy of it.
type claims struct {
	Sandbox string   `json:"s"`
	Port    int      `json:"p"`
	Expires int64    `json:"e"` // Unix seconds
	Paths   []string `json:"a,omitempty"`
}

// Preview makes a token that admits to one port; its URL is the caller's to fill in.
func (sb *Sandbox) Preview(req api.PreviewRequest) (api.Preview, error) {
	ttl := defaultPreview
	if req.TTLSeconds != 0 {
		ttl = seconds(req.TTLSeconds)
	}
	switch {
	case req.Port < 1 || req.Port > 65535:
		return api.Preview{}, api.Errorf(api.CodeInvalid, "cannot admit to port %d: because there is no such port", req.Port).WithFix("use 1 to 65535")
	case ttl < time.Second || ttl > maxPreview:
		return api.Preview{}, api.Errorf(api.CodeInvalid, "cannot make a token for %g seconds: because the range is 1 to %g", req.TTLSeconds, maxPreview.Seconds()).WithFix("use 3600")
	case len(req.Paths) > maxPreviewPaths:
		return api.Preview{}, api.Errorf(api.CodeInvalid, "cannot make a token for %d paths: because the most is %d", len(req.Paths), maxPreviewPaths).WithFix("name a path above them")
	}
	c := claims{Sandbox: sb.id, Port: req.Port, Expires: time.Now().Add(ttl).Unix()}
	for _, p := range req.Paths {
		p = strings.TrimSuffix(p, "*")
		if !path.IsAbs(p) || len(p) > maxPreviewPath {
			return api.Preview{}, api.Errorf(api.CodeInvalid, "cannot admit to the path %.80q: because it does not begin with / or is longer than %d bytes", p, maxPreviewPath).
				WithFix("write it like /docs")
		}
		c.Paths = append(c.Paths, path.Clean(p))
	}
	err := sb.changeDoors(func(d *doors) error {
		if d.Secret == nil {
			d.Secret = make([]byte, sha256.Size)
			rand.Read(d.Secret) // never fails
		}
		return nil
	})
	if err != nil {
		return api.Preview{}, err
	}
	return api.Preview{
		Token: c.sign(sb.record().Doors.Secret), SandboxID: sb.id, Port: c.Port, Paths: c.Paths, ExpiresAt: time.Unix(c.Expires, 0).UTC(),
	}, nil
}

// sign writes the claims and their signature, both in base64, with a dot between.
func (c claims) sign(secret []byte) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // there is nothing in it that JSON has not
	}
	body := base64.RawURLEncoding.EncodeToString(b)
	return body + "." + base64.RawURLEncoding.EncodeToString(signature(secret, body))
}

func signature(secret []byte, body string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("brig preview\x00" + body))
	return mac.Sum(nil)
}

// OpenPreview finds what a preview token admits to, if path is among it. One that is
// wrong, too old, or of a sandbox that has ended is CodeNotFound.
func (s *Service) OpenPreview(token, urlPath string) (sb *Sandbox, port int, err error) {
	refused := api.Errorf(api.CodeNotFound, "cannot open the preview: because its token is wrong, has expired, or does not admit to this path").
		WithFix("make a new one with POST /v1/sandboxes/ID/preview-token")
	body, mac, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(body)
	sum, err2 := base64.RawURLEncoding.DecodeString(mac)
	var c claims
	if len(token) > maxToken || err != nil || err2 != nil || json.Unmarshal(b, &c) != nil {
		return nil, 0, refused
	}
	sb, err = s.Lookup(c.Sandbox)
	if err != nil {
		return nil, 0, refused
	}
	r := sb.record()
	if !r.living() || r.Doors.Secret == nil || !hmac.Equal(sum, signature(r.Doors.Secret, body)) {
		return nil, 0, refused
	}
	if time.Now().Unix() >= c.Expires || !c.admitTo(urlPath) {
		return nil, 0, refused
	}
	return sb, c.Port, nil
}

// admitTo compares a path that no dots lead elsewhere from.
func (c claims) admitTo(urlPath string) bool {
	urlPath = path.Clean("/" + urlPath)
	return len(c.Paths) == 0 || slices.ContainsFunc(c.Paths, func(p string) bool {
		return p == "/" || urlPath == p || strings.HasPrefix(urlPath, p+"/")
	})
}
