package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/brigdev/brig/api"
)

const proxyPath = box + "/proxy/{port}"

// portRoutes are those of a sandbox's ports.
func portRoutes() []route {
	return []route{
		{"GET " + box + "/fs/watch", accessUser, watchFiles},
		{"GET " + box + "/ports", accessUser, listPorts},
		{"POST " + box + "/ports", accessUser, namePort},
		{"DELETE " + box + "/ports/{port}", accessUser, unnamePort},
		{"GET " + box + "/ports/{port}/connect", accessUser, tunnelPort},
		{proxyPath + "/{path...}", accessUser, proxyPort},
		{"POST " + box + "/preview-token", accessUser, makePreview},
		{"POST " + box + "/preview", accessUser, makePreview},
		{previewPath + "{token}", accessToken, toPreview},
		{previewPath + "{token}/{path...}", accessToken, openPreview},
	}
}

// listPorts gives the ports that something listens on, and those that were named.
func listPorts(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	list, err := sb.Ports(r.Context())
	if err != nil {
		return err
	}
	for i := range list {
		list[i].ProxyURL = proxyURL(r, list[i].Port)
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func proxyURL(r *request, port int) string {
	return baseOf(r.Request) + "/v1/sandboxes/" + url.PathEscape(r.PathValue("id")) + "/proxy/" + strconv.Itoa(port) + "/"
}

func namePort(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var p api.Port
	if err := readBody(w, r, maxBody, &p); err != nil {
		return err
	}
	p, err = sb.NamePort(api.Port{Port: p.Port, Label: p.Label, Public: p.Public})
	if err != nil {
		return err
	}
	if list, err := sb.Ports(r.Context()); err == nil { // the name is kept, whether the sandbox says what listens or not
		p.Listening = slices.ContainsFunc(list, func(q api.Port) bool { return q.Port == p.Port && q.Listening })
	}
	p.ProxyURL = proxyURL(r, p.Port)
	writeJSON(w, http.StatusCreated, p)
	return nil
}

func unnamePort(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	port, ok := portOf(r.PathValue("port"))
	if !ok {
		return errNoPort()
	}
	if err := sb.UnnamePort(port); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// proxyPort passes a request of the owner's on to a port.
func proxyPort(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	port, ok := portOf(r.PathValue("port"))
	if !ok {
		return errNoPort()
	}
	s.ports.serve(w, r.Request, passageBelow(r.Request, sb, port, "/v1/sandboxes/"+r.PathValue("id")+"/proxy/"+r.PathValue("port")))
	return nil
}

func errNoPort() error {
	return api.Errorf(api.CodeInvalid, "cannot find the port: because the path does not name one").WithFix("write a number from 1 to 65535 behind ports/ or proxy/")
}

// asError is err as one of ours.
func asError(err error) *api.Error {
	var known *api.Error
	if errors.As(err, &known) {
		return known
	}
	return api.Errorf(api.CodeInternal, "internal error: %w", err)
}
