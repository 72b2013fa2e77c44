package e2b

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// maxPage is how many entries one page of a list has, unless fewer are asked for.
const maxPage = 100

// listV1 has running sandboxes only, as it always had.
func listV1(s *Server, w http.ResponseWriter, r *request) error {
	return s.list(w, r, []string{stateRunning})
}

func listV2(s *Server, w http.ResponseWriter, r *request) error {
	states := []string{stateRunning, statePaused}
	if v := strings.Join(r.URL.Query()["state"], ","); v != "" {
		states = strings.Split(v, ",")
	}
	return s.list(w, r, states)
}

func (s *Server) list(w http.ResponseWriter, r *request, states []string) error {
	wanted, err := filterOf(r, states)
	if err != nil {
		return err
	}
	list, running := []listedBody{}, 0
	for _, info := range s.cfg.Sandboxes.List(r.owner, false) {
		sb, err := s.cfg.Sandboxes.Find(r.owner, info.ID)
		if err != nil {
			continue // it has ended meanwhile, and was forgotten
		}
		b := showListed(sb)
		if b.State == stateRunning {
			running++
		}
		if wanted(b) {
			list = append(list, b)
		}
	}
	oldest := r.URL.Query().Get("order") == "asc"
	page, err := cut(w, r, list, oldest, func(b listedBody) place { return place{b.StartedAt, b.SandboxID} })
	if err != nil {
		return err
	}
	w.Header().Set("X-Total-Running", strconv.Itoa(running))
	writeJSON(w, http.StatusOK, page)
	return nil
}

// filterOf reads the conditions of a list.
func filterOf(r *request, states []string) (func(listedBody) bool, error) {
	q := r.URL.Query()
	for _, state := range states {
		if state != stateRunning && state != statePaused {
			return nil, api.Errorf(api.CodeInvalid, "cannot list sandboxes: because there is no state %.40q", state).WithFix("use running or paused")
		}
	}
	metadata, err := metadataOf(q.Get("metadata"))
	if err != nil {
		return nil, err
	}
	var after time.Time
	if v := q.Get("startedAfter"); v != "" {
		if after, err = time.Parse(time.RFC3339, v); err != nil {
			return nil, api.Errorf(api.CodeInvalid, "cannot read startedAfter=%.40q: because it is not a time", v).WithFix("write it like 2024-01-31T12:00:00Z")
		}
	}
	template := q.Get("template")
	return func(b listedBody) bool {
		for k, v := range metadata {
			if got, ok := b.Metadata[k]; !ok || got != v {
				return false
			}
		}
		return slices.Contains(states, b.State) && b.StartedAt.After(after) && (template == "" || template == b.TemplateID || template == b.Alias)
	}, nil
}

// metadataOf reads conditions that clients write as a query string inside the
// query string, after they had escaped each key and value already.
func metadataOf(s string) (map[string]string, error) {
	q, err := url.ParseQuery(s)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "cannot read metadata=%.80q: because it is not a query string", s).WithFix("write it like user=abc&app=prod, escaped")
	}
	m := map[string]string{}
	for k, v := range q {
		m[unescape(k)] = unescape(v[0])
	}
	return m, nil
}

// unescape undoes one more escaping, where there was one.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// place is where something is in a list: by its time, then by its id.
type place struct {
	at time.Time
	id string
}

func (a place) compare(b place) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) }

// cut sorts a list, the newest first unless told otherwise, and gives the page
// that was asked for. The token for the next one says where this one ends, so that
// what comes and goes meanwhile neither repeats nor hides anything.
func cut[T any](w http.ResponseWriter, r *request, list []T, oldest bool, at func(T) place) ([]T, error) {
	limit, err := queryInt(r, "limit", maxPage)
	if err != nil || limit < 1 || limit > maxPage {
		return nil, api.Errorf(api.CodeInvalid, "cannot read the limit: because the range is 1 to %d", maxPage).WithFix("leave it out")
	}
	order := func(a, b place) int {
		if oldest {
			return a.compare(b)
		}
		return b.compare(a)
	}
	slices.SortFunc(list, func(a, b T) int { return order(at(a), at(b)) })
	if token := r.URL.Query().Get("nextToken"); token != "" {
		last, err := parseToken(token)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(v T) bool { return order(at(v), last) <= 0 })
	}
	if int64(len(list)) > limit {
		list = list[:limit]
		w.Header().Set("X-Next-Token", at(list[limit-1]).token())
	}
	return list, nil
}

func (a place) token() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(a.at.UnixNano(), 10) + "/" + a.id))
}

func parseToken(s string) (place, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	nanos, id, ok := strings.Cut(string(b), "/")
	n, parseErr := strconv.ParseInt(nanos, 10, 64)
	if err != nil || !ok || parseErr != nil {
		return place{}, api.Errorf(api.CodeInvalid, "cannot read nextToken: because this server gave no such token").WithFix("begin with the first page")
	}
	return place{time.Unix(0, n), id}, nil
}
