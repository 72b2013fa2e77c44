package egress

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"

	"github.com/brigdev/brig/internal/netpolicy"
)

const maxHead = 64 << 10

// relayHTTP passes requests on, one after the other, and checks each one: a
// connection may be kept for many. A request is read by the rules of the standard
// library and written anew, so that the server cannot read it otherwise.
func (p *pipe) relayHTTP(r *bufio.Reader, limit *io.LimitedReader) error {
	for {
		limit.N = maxHead
		req, err := http.ReadRequest(r)
		if err == io.EOF {
			return nil
		}
		if isTimeout(err) || isRefusal(err) {
			return err
		}
		if err != nil {
			return p.refuse("", "its HTTP request cannot be read")
		}
		limit.N = math.MaxInt64
		p.takeYourTime()
		if err := p.checkRequest(req); err != nil {
			return err
		}
		if err := writeRequest(p.out, req); err != nil {
			return err
		}
		if req.Close {
			return nil
		}
	}
}

func (p *pipe) checkRequest(req *http.Request) error {
	host, port, err := net.SplitHostPort(req.Host)
	if err != nil { // without a port
		host, port = req.Host, strconv.Itoa(int(p.to.Port()))
	}
	name, err := netpolicy.ParseName(host)
	switch {
	case req.ProtoMajor != 1:
		return p.refuse("", "it is HTTP/2 without TLS")
	case req.Method == http.MethodConnect:
		return p.refuse("", "it asks for a tunnel")
	case err != nil:
		return p.refuse("", "its HTTP request is for no proper name")
	case !slices.Contains(p.names, name) || port != strconv.Itoa(int(p.to.Port())):
		return p.refuse(name, "its HTTP request is for another name")
	}
	return nil
}

// writeRequest writes a request that was read. It cannot become another protocol:
// what would come after that is not HTTP, and could not be checked.
func writeRequest(w io.Writer, req *http.Request) error {
	for _, h := range []string{"Upgrade", "Http2-Settings", "Host", "Content-Length", "Transfer-Encoding", "Trailer"} {
		req.Header.Del(h)
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.%d\r\nHost: %s\r\n", req.Method, req.URL.RequestURI(), req.ProtoMinor, req.Host)
	chunked := slices.Contains(req.TransferEncoding, "chunked")
	switch {
	case chunked:
		head.WriteString("Transfer-Encoding: chunked\r\n")
	case req.ContentLength > 0 || req.Method == http.MethodPost || req.Method == http.MethodPut || req.Method == http.MethodPatch:
		fmt.Fprintf(&head, "Content-Length: %d\r\n", req.ContentLength)
	}
	if req.Close && !strings.EqualFold(req.Header.Get("Connection"), "close") {
		head.WriteString("Connection: close\r\n")
	}
	if err := req.Header.Write(&head); err != nil {
		return err
	}
	head.WriteString("\r\n")
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	if !chunked {
		_, err := io.CopyBuffer(writer{w}, req.Body, make([]byte, copyBuffer))
		return err
	}
	body := httputil.NewChunkedWriter(w)
	if _, err := io.CopyBuffer(writer{body}, req.Body, make([]byte, copyBuffer)); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\r\n")
	return err
}
