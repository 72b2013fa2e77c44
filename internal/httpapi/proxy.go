package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/auth"
	"github.com/brigdev/brig/internal/control"
	"github.com/brigdev/brig/internal/e2b"
)

// maxReplyHeader bounds the header of what answers inside.
const maxReplyHeader = 256 << 10

// portProxy passes requests on to ports of sandboxes: HTTP and what HTTP upgrades to,
// both ways as it comes. Each request has a connection of its own: one that is kept
// would count as use of its sandbox.
type portProxy struct {
	transport *http.Transport
	log       *slog.Logger
}

func newPortProxy(cfg Config) *portProxy {
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		id, number, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		sb, err := cfg.Sandboxes.Lookup(id)
		if err != nil {
			return nil, err
		}
		port, _ := strconv.Atoi(number) // it was a number
		return sb.Dial(ctx, port)
	}
	return &portProxy{log: cfg.Log, transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxReplyHeader,
	}}
}

// passage is one request's way to a port.
type passage struct {
	sb   *control.Sandbox
	port int
	path string // as the server inside gets it, escaped
	host string
	// prefix is what stands before path in the address that the client used; "" when
	// the host name is the port's own.
	prefix string
	routed bool // by header or host name: errors have the shape that E2B's clients know
}

// passageBelow is the way of a request whose path says where to go. The server inside
// believes that it was asked directly.
func passageBelow(r *http.Request, sb *control.Sandbox, port int, prefix string) passage {
	rest := r.URL.EscapedPath()
	for range strings.Count(prefix, "/") + 1 { // its words may have been escaped otherwise
		_, rest, _ = strings.Cut(rest, "/")
	}
	return passage{sb: sb, port: port, path: "/" + rest, host: "localhost:" + strconv.Itoa(port), prefix: prefix}
}

// serve answers a request with what the server inside says.
func (x *portProxy) serve(w http.ResponseWriter, r *http.Request, p passage) {
	proxy := httputil.ReverseProxy{
		Transport: x.transport, FlushInterval: -1, ErrorLog: slog.NewLogLogger(x.log.Handler(), slog.LevelDebug),
		Rewrite:        p.rewrite,
		ModifyResponse: p.reply,
		ErrorHandler:   func(w http.ResponseWriter, r *http.Request, err error) { p.failed(w, r, err) },
	}
	proxy.ServeHTTP(w, r)
}

// rewrite makes the request that goes in. The caller's credentials stay outside.
func (p passage) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = "http", net.JoinHostPort(p.sb.ID(), strconv.Itoa(p.port))
	out.URL.RawPath = p.path
	if plain, err := url.PathUnescape(p.path); err == nil {
		out.URL.Path = plain
	}
	out.URL.RawQuery = withoutSecrets(pr.In.URL.RawQuery, "&")
	out.Host = p.host
	pr.SetXForwarded()
	if p.prefix != "" && !strings.HasPrefix(p.prefix, previewPath) { // which has a token in it
		out.Header.Set("X-Forwarded-Prefix", p.prefix)
	}
	for _, name := range []string{headerSandbox, headerPort, headerE2BSandbox, headerE2BPort, headerPreview, "E2b-Traffic-Access-Token", "X-Access-Token"} {
		out.Header.Del(name)
	}
	if scheme, secret, _ := strings.Cut(out.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") && auth.LooksLikeKey(strings.TrimSpace(secret)) {
		out.Header.Del("Authorization")
	}
	if auth.LooksLikeKey(out.Header.Get("X-API-Key")) {
		out.Header.Del("X-API-Key")
	}
	if cookies := out.Header.Values("Cookie"); len(cookies) > 0 {
		out.Header.Del("Cookie")
		if left := withoutSecrets(strings.Join(cookies, "; "), ";"); left != "" {
			out.Header.Set("Cookie", left)
		}
	}
}

// withoutSecrets takes preview tokens and keys out of a query or a list of cookies,
// and leaves the rest as it was written.
func withoutSecrets(list, separator string) string {
	var kept []string
	for _, part := range strings.Split(list, separator) {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if name != previewName && !(name == "access_token" && auth.LooksLikeKey(value)) {
			kept = append(kept, part)
		}
	}
	return strings.TrimSpace(strings.Join(kept, separator))
}

// reply looks after what the server inside may not do to others behind the same
// address: a cookie is for its own host name, or its own place below ours.
func (p passage) reply(resp *http.Response) error {
	cookies := resp.Cookies()
	resp.Header.Del("Set-Cookie")
	for _, c := range cookies {
		if c.Name == previewName {
			continue
		}
		c.Domain = ""
		if p.prefix != "" {
			c.Path = p.prefix + "/"
		}
		if line := c.String(); line != "" {
			resp.Header.Add("Set-Cookie", line)
		}
	}
	if p.prefix == "" {
		return nil
	}
	for _, name := range []string{"Service-Worker-Allowed", "Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc"} {
		resp.Header.Del(name)
	}
	if to := resp.Header.Get("Location"); strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
		resp.Header.Set("Location", p.prefix+to)
	}
	return nil
}

// failed answers for a server that could not be asked, or did not answer as HTTP.
func (p passage) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is left to read it
	}
	message, reason, status := "The sandbox did not answer the request", "bad answer", http.StatusBadGateway
	switch code := api.CodeOf(err); {
	case !errors.As(err, new(*api.Error)):
		err = api.Errorf(api.CodeUnavailable, "cannot pass the request on to port %d: because what listens there did not answer it as HTTP", p.port).
			WithFix("look at the server's own output")
	case code == api.CodeUnavailable:
		message, reason = "The sandbox is running but port is not open", "port closed"
	case code == api.CodeNotFound && p.routed:
		message, reason = "The sandbox was not found", "ended"
	default:
		status = statusOf(err)
	}
	if p.routed && status == http.StatusBadGateway {
		e2b.Unreachable(w, p.sb.ID(), p.port, message, reason)
		return
	}
	body := describeError(err)
	body.RequestID = w.Header().Get("X-Request-Id")
	writeJSON(w, status, body)
}
