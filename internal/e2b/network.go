package e2b

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"

	"github.com/brigdev/brig/api"
)

// network is E2B's wish of what a sandbox may reach and who may reach it.
type network struct {
	AllowOut           []string                     `json:"allowOut,omitempty"`
	DenyOut            []string                     `json:"denyOut,omitempty"`
	AllowPublicTraffic *bool                        `json:"allowPublicTraffic,omitempty"`
	Rules              map[string][]json.RawMessage `json:"rules,omitempty"`
	EgressProxy        json.RawMessage              `json:"egressProxy,omitempty"`
	MaskRequestHost    string                       `json:"maskRequestHost,omitempty"`
	HTTPSPorts         []int                        `json:"httpsPorts,omitempty"`
}

// private tells whether ports are closed to who has no token.
func (n *network) private() bool {
	return n != nil && n.AllowPublicTraffic != nil && !*n.AllowPublicTraffic
}

// check refuses what this server has not.
func (n *network) check() error {
	for _, rules := range n.Rules {
		for _, r := range rules {
			if s := string(r); s != "{}" && s != "null" {
				return errMissing("a rule that changes requests")
			}
		}
	}
	switch {
	case len(n.EgressProxy) > 0 && string(n.EgressProxy) != "null":
		return errMissing("an egress proxy")
	case n.MaskRequestHost != "":
		return errMissing("maskRequestHost")
	case len(n.HTTPSPorts) > 0:
		return errMissing("httpsPorts")
	}
	return nil
}

// everything is how clients write all addresses.
const everything = "0.0.0.0/0"

// egressOf turns E2B's rules into ours: what is allowed beats what is denied, and
// private addresses are never reached. Whether the rest is reached that no rule
// names, is what the maker said (allow_internet_access), or else this server's
// choice. A sandbox always has a link, so that the rules can be changed later.
func (s *Server) egressOf(n *network, internet *bool) (*api.Egress, error) {
	if n == nil {
		n = &network{}
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	open := s.cfg.Internet
	if internet != nil {
		open = *internet
	}
	closed := !open || slices.Contains(n.DenyOut, everything)
	if slices.Contains(n.AllowOut, everything) {
		return &api.Egress{Mode: api.EgressOpen}, nil
	}
	for _, entry := range n.AllowOut {
		if err := checkAllowed(entry, closed); err != nil {
			return nil, err
		}
	}
	for _, entry := range n.DenyOut {
		if _, err := prefixOf(entry); err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot deny %.80q: because it is no address and no range", entry).WithFix("write it like 192.0.2.0/24")
		}
	}
	if closed {
		return &api.Egress{Mode: api.EgressAllow, Allow: n.AllowOut}, nil
	}
	return &api.Egress{Mode: api.EgressOpen, Allow: n.AllowOut, Deny: n.DenyOut}, nil
}

// checkAllowed checks one entry of allowOut.
func checkAllowed(entry string, closed bool) error {
	p, err := prefixOf(entry)
	switch {
	case err != nil && !closed:
		return api.Errorf(api.CodeInvalid, "cannot allow the name %.80q: because everything else is allowed, too", entry).
			WithFix(`deny the rest with "denyOut": ["0.0.0.0/0"]`)
	case err == nil && isPrivate(p.Addr()):
		return api.Errorf(api.CodeInvalid, "cannot allow %.80q: because private addresses are never reached", entry).WithFix("leave it out")
	}
	return nil // a name is checked where all policies are
}

func prefixOf(entry string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(entry); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(entry)
}

func isPrivate(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(a)
}

// updateNetwork replaces what a sandbox may reach; what the request does not name
// is cleared. Who may reach its ports stays as it is.
func updateNetwork(s *Server, w http.ResponseWriter, r *request) error {
	sb, err := s.sandbox(r)
	if err != nil {
		return err
	}
	var body struct {
		network
		Internet *bool `json:"allow_internet_access"`
	}
	if err := readBody(w, r.Request, maxBody, &body); err != nil {
		return err
	}
	egress, err := s.egressOf(&body.network, body.Internet)
	if err != nil {
		return err
	}
	if err := sb.SetEgress(r.Context(), egress); err != nil {
		return err
	}
	_, err = adopt(sb, func(n *notes) {
		wish := body.network
		if n.Network != nil {
			wish.AllowPublicTraffic = n.Network.AllowPublicTraffic
		}
		n.Network, n.Internet = &wish, body.Internet
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
