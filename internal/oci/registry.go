package oci

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/netpolicy"
)

// OpenRegistry opens an image of a registry: NAME:TAG or NAME@sha256:…, with
// Docker's defaults for what is left out. It asks as nobody: no credentials are
// read and no helper is run. Anything but HTTPS is refused unless the registry is
// this machine; with publicOnly that is refused, too, and so is every address that
// is not of the public internet, whatever names lead there, and no proxy is used.
// Layers are fetched when the image is unpacked.
//
// Errors: CodeInvalid for the name, CodeNotFound, CodeUnavailable.
func OpenRegistry(ctx context.Context, ref string, publicOnly bool) (*Image, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "cannot fetch the image %q: because that is no image's name", clip(ref)).
			WithFix("write docker://debian:12 or docker://registry.example:5000/team/app@sha256:…")
	}
	img, err := remote.Image(r, remote.WithContext(ctx), remote.WithAuth(authn.Anonymous), remote.WithTransport(safeTransport(publicOnly)),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return nil, fetchError(ctx, ref, err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, fetchError(ctx, ref, err)
	}
	list, err := img.Layers()
	if err != nil {
		return nil, fetchError(ctx, ref, err)
	}
	if len(config) > maxDocument {
		return nil, bad(ref, "its configuration is larger than %s", api.FormatBytes(maxDocument))
	}
	layers := make([]opener, 0, len(list))
	for _, l := range list {
		layers = append(layers, func(ctx context.Context) (io.ReadCloser, error) {
			r, err := l.Compressed()
			if err != nil {
				return nil, fetchError(ctx, ref, err)
			}
			return r, nil
		})
	}
	return newImage(ref, digestOf(config), config, layers)
}

func fetchError(ctx context.Context, ref string, err error) error {
	if ctx.Err() != nil {
		return api.Errorf(api.CodeCancelled, "cannot fetch the image %s: %w", clip(ref), context.Cause(ctx))
	}
	var answer *transport.Error
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
		return api.Errorf(api.CodeNotFound, "cannot fetch the image %s: because the registry has none of that name that everybody may read (HTTP %d)", clip(ref), answer.StatusCode).
			WithFix("check the name, or bring a private image as an archive: --from oci:image.tar")
	}
	return api.Errorf(api.CodeUnavailable, "cannot fetch the image %s: because of %s", clip(ref), clip(err.Error())).
		WithFix("check the network, or bring the image as an archive: --from oci:image.tar")
}

// safeTransport refuses to talk without TLS to anybody but this machine.
func safeTransport(publicOnly bool) http.RoundTripper {
	if !publicOnly {
		return tlsOnly{http.DefaultTransport}
	}
	d := net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		// The address is the one that is dialled: a name cannot change in between.
		at, err := netip.ParseAddrPort(address)
		if err != nil || !netpolicy.Public(at.Addr()) {
			return errors.New("the registry is not on the public internet")
		}
		return nil
	}}
	return tlsOnly{&http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second}}
}

type tlsOnly struct{ next http.RoundTripper }

func (t tlsOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !isLocal(r.URL.Hostname()) {
		return nil, errors.New("the registry " + clip(r.URL.Host) + " does not speak HTTPS")
	}
	return t.next.RoundTrip(r)
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
