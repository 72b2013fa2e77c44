package egress

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestTLSNames(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	tests := []struct {
		dial, sni string
		ok        bool
	}{
		{"web.example.org:443", "web.example.org", true},
		{"web.example.org:443", "WEB.example.org", true},
		{"web.example.org:443", "evil.example.com", false},
		{"web.example.org:443", "other.example.org", false}, // on the same address, and not on the list
		{"web.example.org:443", "", false},
		{"web.example.org:80", "web.example.org", false},
		{"web.example.org:8443", "web.example.org", true},
		{"web.example.org:8443", "evil.example.com", false},
	}
	for _, tt := range tests {
		t.Run(tt.dial+" "+tt.sni, func(t *testing.T) {
			w := newWorld(t, allow("web.example.org", "web.example.org:8443"), s.Listener.Addr().String())
			c := tls.Client(w.mustDial(t, tt.dial), &tls.Config{ServerName: tt.sni, InsecureSkipVerify: true})
			err := c.HandshakeContext(t.Context())
			if ok := err == nil; ok != tt.ok {
				t.Errorf("handshake: %v", err)
			}
			if !tt.ok && len(w.refused()) == 0 {
				t.Error("the refusal is not in the audit")
			}
		})
	}
}

// TestEncryptedHello holds that a handshake that could hide another name is refused.
func TestEncryptedHello(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	w := newWorld(t, allow("web.example.org"), s.Listener.Addr().String())
	c := tls.Client(w.mustDial(t, "web.example.org:443"), &tls.Config{
		ServerName: "evil.example.com", MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: echConfig(t, "web.example.org"),
	})
	if err := c.HandshakeContext(t.Context()); err == nil || !slices.ContainsFunc(w.refused(), func(r string) bool { return strings.Contains(r, "ECH") }) {
		t.Errorf("%v; %q", err, w.refused())
	}
}

func TestHTTPNames(t *testing.T) {
	server := echoServer(t).Listener.Addr().String()
	tests := []struct {
		name, request string
		want          string // in the response; "" is a refusal
	}{
		{"plain", "GET /a HTTP/1.1\r\nHost: web.example.org\r\n\r\n", "GET web.example.org/a"},
		{"case and port", "GET /a HTTP/1.1\r\nHost: WEB.Example.org:80\r\n\r\n", "GET WEB.Example.org:80/a"},
		{"empty lines first", "\r\n\r\nGET /a HTTP/1.1\r\nHost: web.example.org\r\n\r\n", ""},
		{"absolute", "GET http://web.example.org/a HTTP/1.1\r\nHost: web.example.org\r\n\r\n", "GET web.example.org/a"},
		{"absolute, other", "GET http://evil.example.com/ HTTP/1.1\r\nHost: web.example.org\r\n\r\n", ""},
		{"other host", "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", ""},
		{"same address, not on the list", "GET / HTTP/1.1\r\nHost: other.example.org\r\n\r\n", ""},
		{"two hosts", "GET / HTTP/1.1\r\nHost: web.example.org\r\nHost: evil.example.com\r\n\r\n", ""},
		{"no host", "GET / HTTP/1.0\r\n\r\n", ""},
		{"other port", "GET / HTTP/1.1\r\nHost: web.example.org:8080\r\n\r\n", ""},
		{"NUL", "GET / HTTP/1.1\r\nHost: evil.example.com\x00web.example.org\r\n\r\n", ""},
		{"userinfo", "GET / HTTP/1.1\r\nHost: web.example.org@evil.example.com\r\n\r\n", ""},
		{"address", "GET / HTTP/1.1\r\nHost: 93.184.216.34\r\n\r\n", ""},
		{"tunnel", "CONNECT web.example.org:80 HTTP/1.1\r\nHost: web.example.org\r\n\r\n", ""},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
		{"HTTP/0.9", "GET /\r\n", ""},
		{"another protocol", "SSH-2.0-x\r\n", ""},
		{"length and chunks", "POST / HTTP/1.1\r\nHost: web.example.org\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "body=5 hello"},
		{"chunks", "POST / HTTP/1.1\r\nHost: web.example.org\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "body=5 hello"},
		{"length", "PUT / HTTP/1.1\r\nHost: web.example.org\r\nContent-Length: 5\r\n\r\nhello", "body=5 hello"},
		{"upgrade", "GET / HTTP/1.1\r\nHost: web.example.org\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", `upgrade=""`},
		{"long head", "GET / HTTP/1.1\r\nHost: web.example.org\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", ""},
		{"long line", strings.Repeat("x", 100<<10), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, allow("web.example.org"), server)
			c := w.mustDial(t, "web.example.org:80")
			got, err := say(c, bufio.NewReader(c), tt.request)
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("answered %q", got)
			case tt.want == "" && len(w.refused()) == 0:
				t.Errorf("the refusal is not in the audit: %v", err)
			case tt.want != "" && (err != nil || !strings.Contains(got, tt.want)):
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestLaterRequests holds that each request of a connection is checked.
func TestLaterRequests(t *testing.T) {
	w := newWorld(t, allow("web.example.org"), echoServer(t).Listener.Addr().String())
	c := w.mustDial(t, "web.example.org:80")
	r := bufio.NewReader(c)
	for range 3 {
		if got, err := say(c, r, "GET /a HTTP/1.1\r\nHost: web.example.org\r\n\r\n"); err != nil {
			t.Fatal(got, err)
		}
	}
	if got, err := say(c, r, "GET /b HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"); err == nil {
		t.Errorf("a later request for another name was answered: %q", got)
	}
	c = w.mustDial(t, "web.example.org:80")
	r = bufio.NewReader(c)
	_, err := say(c, r, "GET /a HTTP/1.1\r\nHost: web.example.org\r\n\r\nGET /b HTTP/1.1\r\nHost: evil.example.com\r\n\r\n")
	if err == nil {
		if _, err = http.ReadResponse(r, nil); err == nil {
			t.Error("a pipelined request for another name was answered")
		}
	}
}

// TestOtherProtocols holds that a named port may speak anything, also when the
// server is the first to speak, or a short word is all the client says.
func TestOtherProtocols(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 hello\n")
			io.Copy(c, c)
			c.Close()
		}
	}()
	w := newWorld(t, allow("web.example.org:25"), l.Addr().String())
	c := w.mustDial(t, "web.example.org:25")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); line != "220 hello\n" {
		t.Fatalf("%q %v", line, err)
	}
	for _, word := range []string{"\x00", "EHLO me\r\n", "\x16\x99binary"} {
		if _, err := io.WriteString(c, word); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(word))
		if _, err := io.ReadFull(r, b); err != nil || string(b) != word {
			t.Fatalf("%q came back as %q, %v", word, b, err)
		}
	}
}
