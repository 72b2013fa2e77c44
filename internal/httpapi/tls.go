package httpapi

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"github.com/brigdev/brig/api"
)

// certificateLook is how often a certificate's file is looked at for a newer one.
const certificateLook = 10 * time.Second

// LoadTLS serves the certificate chain and key of two PEM files. A renewed
// certificate is taken up without a restart, which would end all sandboxes; while
// the files are not a pair, the last good one is served.
func LoadTLS(certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, api.Errorf(api.CodeInvalid, "cannot serve with TLS: because %w", err).
			WithFix("name a certificate and its key, both as PEM, with --tls-cert and --tls-key")
	}
	return c.config(), nil
}

type certificate struct {
	certFile, keyFile string

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  time.Time // of the certificate's file
	looked time.Time
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > certificateLook {
		c.looked = time.Now()
		if st, err := os.Stat(c.certFile); err == nil && !st.ModTime().Equal(c.stamp) {
			_ = c.loadLocked() // the last good one goes on
		}
	}
	return c.pair, nil
}

func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadLocked()
}

// loadLocked reads the files. The caller holds mu.
func (c *certificate) loadLocked() error {
	st, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair, c.stamp, c.looked = &pair, st.ModTime(), time.Now()
	return nil
}
