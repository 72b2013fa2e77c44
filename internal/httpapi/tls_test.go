package httpapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/control/controltest"
)

// certify writes a new certificate for 127.0.0.1 and its key, and gives the pool
// that trusts it.
func certify(t *testing.T, certFile, keyFile string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	if parsed, err := x509.ParseCertificate(der); err == nil {
		pool.AddCert(parsed)
	}
	return pool
}

// TestTLS: HTTP/2 and 1.1 over TLS, a renewed certificate is taken up, and a broken
// one is not.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadTLS(certFile, keyFile); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("without files: %v", err)
	}
	pool := certify(t, certFile, keyFile, 1)
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	server := New(Config{Sandboxes: controltest.New(t).Service})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(ctx, []Listener{{Listener: l, TLS: c.config()}}, time.Second); err != nil {
			t.Error(err)
		}
	})
	defer func() { stop(); serving.Wait(); server.Close() }()
	ask := func(pool *x509.CertPool, http2 bool) (int, string) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String() + "/healthz")
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		return resp.ProtoMajor, resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	if proto, serial := ask(pool, true); proto != 2 || serial != "1" {
		t.Errorf("HTTP/%d, certificate %s", proto, serial)
	}
	if proto, serial := ask(pool, false); proto != 1 || serial != "1" {
		t.Errorf("HTTP/%d, certificate %s", proto, serial)
	}
	renewed := certify(t, certFile, keyFile, 2)
	c.lookSoon()
	if proto, serial := ask(renewed, true); proto != 2 || serial != "2" {
		t.Errorf("after a renewal: HTTP/%d, certificate %s", proto, serial)
	}
	if err := os.WriteFile(keyFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.lookSoon()
	if proto, serial := ask(renewed, true); proto != 2 || serial != "2" {
		t.Errorf("with a broken key: HTTP/%d, certificate %s", proto, serial)
	}
}

// lookSoon has the next caller look at the files.
func (c *certificate) lookSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked, c.stamp = time.Time{}, time.Time{}
}
