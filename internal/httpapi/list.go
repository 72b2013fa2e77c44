package httpapi

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/brigdev/brig/api"
)

// maxPage bounds ?limit=.
const maxPage = 1000

// cursorPrefix tells a cursor of ours, before it is encoded, from any other text.
const cursorPrefix = "behind "

// page gives the part of a list that the query asks for, ?limit= elements behind
// ?cursor=, and says in the headers X-Next-Cursor and Link where the next part
// begins. Without a limit it gives all. mark places an element: the list is in the
// order of the marks, which no two share and none changes, so that what comes and
// goes between two pages neither hides others nor repeats them.
func page[T any](w http.ResponseWriter, r *request, list []T, mark func(T) string) ([]T, error) {
	limit, err := queryInt(r, "limit", 0)
	if err != nil {
		return nil, err
	}
	if limit > maxPage || limit == 0 && r.URL.Query().Has("limit") {
		return nil, api.Errorf(api.CodeInvalid, "cannot give pages of %d: because the range is 1 to %d", limit, maxPage).WithFix("use limit=100")
	}
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(mark(a), mark(b)) })
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(cursor)
		behind, ok := strings.CutPrefix(string(after), cursorPrefix)
		if err != nil || !ok {
			return nil, api.Errorf(api.CodeInvalid, "cannot go on at the cursor %.40q: because it is none", cursor).WithFix("use the X-Next-Cursor of a page, or leave it out")
		}
		i, found := slices.BinarySearchFunc(list, behind, func(e T, m string) int { return strings.Compare(mark(e), m) })
		if found {
			i++
		}
		list = list[i:]
	}
	if limit > 0 && int64(len(list)) > limit {
		list = list[:limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + mark(list[limit-1])))
		q := maps.Clone(r.URL.Query())
		q.Set("cursor", next)
		q.Del("access_token")
		w.Header().Set("X-Next-Cursor", next)
		w.Header().Set("Link", "<"+(&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()+`>; rel="next"`)
	}
	return list, nil
}

// newestFirst is the mark of what was made at a time.
func newestFirst(made time.Time, id string) string {
	return fmt.Sprintf("%019d %s", math.MaxInt64-made.UnixNano(), id)
}

// sandboxFilter is what ?status=, ?template=, ?name=, ?created_after=,
// ?created_before= and ?metadata.KEY= choose; empty ones choose all.
type sandboxFilter struct {
	statuses       []string
	template, name string
	after, before  time.Time
	metadata       map[string]string
}

func filterOf(r *request) (f sandboxFilter, err error) {
	q := r.URL.Query()
	f = sandboxFilter{template: q.Get("template"), name: q.Get("name"), metadata: map[string]string{}}
	if v := q.Get("status"); v != "" {
		f.statuses = strings.Split(v, ",")
	}
	if f.after, err = queryTime(q, "created_after"); err != nil {
		return f, err
	}
	if f.before, err = queryTime(q, "created_before"); err != nil {
		return f, err
	}
	for k, v := range q {
		if key, ok := strings.CutPrefix(k, "metadata."); ok {
			f.metadata[key] = v[0]
		}
	}
	return f, nil
}

// queryTime reads a time from the query; the zero time when it is absent.
func queryTime(q url.Values, name string) (time.Time, error) {
	s := q.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, api.Errorf(api.CodeInvalid, "cannot read %s=%.40q: because it is no time", name, s).WithFix("write it like 2026-01-02T15:04:05Z")
	}
	return t, nil
}

// chooses tells whether a sandbox is among those that were asked for.
func (f sandboxFilter) chooses(sb api.Sandbox) bool {
	if len(f.statuses) > 0 && !slices.Contains(f.statuses, sb.Status) ||
		f.template != "" && f.template != sb.Template || f.name != "" && f.name != sb.Name ||
		!f.after.IsZero() && !sb.CreatedAt.After(f.after) || !f.before.IsZero() && !sb.CreatedAt.Before(f.before) {
		return false
	}
	for k, v := range f.metadata {
		if has, ok := sb.Metadata[k]; !ok || has != v {
			return false
		}
	}
	return true
}

// listSandboxes gives a bare array, the newest first. ?all=1 has those that ended
// too, as naming their status does.
func listSandboxes(s *Server, w http.ResponseWriter, r *request) error {
	filter, err := filterOf(r)
	if err != nil {
		return err
	}
	list := s.cfg.Sandboxes.List(r.owner, queryBool(r, "all") || len(filter.statuses) > 0)
	list = slices.DeleteFunc(list, func(sb api.Sandbox) bool { return !filter.chooses(sb) })
	list, err = page(w, r, list, func(sb api.Sandbox) string { return newestFirst(sb.CreatedAt, sb.ID) })
	if err != nil {
		return err
	}
	out := []api.Sandbox{}
	for _, sb := range list {
		out = append(out, shown(sb))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
