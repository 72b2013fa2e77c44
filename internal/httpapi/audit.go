package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/audit"
)

func auditRoutes() []route {
	return []route{{"GET /v1/audit", accessUser, listAudit}}
}

// visitEnd is how a visit ended.
type visitEnd struct {
	id        string
	status    int
	sent, got int64
	took      time.Duration
	broken    bool // the reply was broken off
}

// audited tells whether what a row does belongs into the audit log: all but
// looking, and reading a file is not only looking.
func audited(pattern string) bool {
	return !needOfRow(pattern).Looks || strings.HasSuffix(pattern, "/fs") || strings.HasSuffix(pattern, "/fs/tar") || strings.HasSuffix(pattern, "/content")
}

// record writes a request into the audit log, if it belongs there: what changes or
// runs something, and who was turned away, of whom not all are named when there are
// very many.
func (s *Server) record(r *http.Request, v *visit, end visitEnd) {
	denied := end.status == http.StatusUnauthorized || end.status == http.StatusForbidden
	if denied && !s.denials.allow(time.Now()) {
		return
	}
	if s.cfg.Audit == nil || !v.audited && !denied && v.note.Empty() {
		return
	}
	e := audit.Entry{
		Owner: v.caller.owner, Actor: actorOf(v), Remote: remoteOf(r), Action: v.route, Target: v.target, Outcome: outcomeOf(end),
		Status: end.status, BytesIn: end.got, BytesOut: end.sent, DurationMS: end.took.Milliseconds(), RequestID: end.id,
	}
	if e.Action == "" {
		e.Action = "request to a sandbox"
	}
	v.note.Fill(&e)
	s.cfg.Audit.Add(e)
}

// recordProgram writes a program that was started into the audit log, when its
// request may start several; the request's own entry comes at its end.
func (s *Server) recordProgram(r *http.Request, note *audit.Note, id string) {
	if s.cfg.Audit == nil {
		return
	}
	v := visitOf(r)
	e := audit.Entry{Owner: v.caller.owner, Actor: actorOf(v), Remote: remoteOf(r), Action: v.route, Target: v.target, Outcome: "ok", RequestID: id}
	note.Fill(&e)
	s.cfg.Audit.Add(e)
}

func actorOf(v *visit) string {
	switch {
	case v.caller.owner == "":
		return ""
	case v.trusted:
		return "socket"
	}
	return v.caller.key.Prefix
}

func outcomeOf(end visitEnd) string {
	switch {
	case end.broken:
		return "broken"
	case end.status == http.StatusUnauthorized || end.status == http.StatusForbidden:
		return "denied"
	case end.status >= 500:
		return "failed"
	case end.status >= 400:
		return "refused"
	}
	return "ok"
}

// listAudit gives the newest entries of the caller's owner, the newest first.
// ?since= (RFC 3339), ?action= (its beginning), ?target=, ?limit= and ?before= (an
// id) choose; an admin sees all owners, or with ?owner= one.
func listAudit(s *Server, w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	limit, err := queryInt(r, "limit", 100)
	if err != nil {
		return err
	}
	before, err := queryInt(r, "before", 0)
	if err != nil {
		return err
	}
	f := audit.Filter{Owner: r.owner, Target: q.Get("target"), Action: q.Get("action"), Before: before, Limit: int(min(limit, 1000))}
	if v := q.Get("since"); v != "" {
		if f.Since, err = time.Parse(time.RFC3339, v); err != nil {
			return api.Errorf(api.CodeInvalid, "cannot read since=%.40q: because it is no time", v).WithFix("write it like 2030-01-31T12:00:00Z")
		}
	}
	if r.admin() {
		f.Owner = q.Get("owner")
	}
	list, err := s.cfg.Audit.Find(f)
	if err != nil {
		return err
	}
	if len(list) > 0 && len(list) == f.Limit {
		w.Header().Set("X-Next-Cursor", strconv.FormatInt(list[len(list)-1].ID, 10))
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}
