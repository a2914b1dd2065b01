package cache

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// overhead is what an entry takes beside its text: itself, its key, its place in the store and in the order of eviction.
	overhead   = 400
	fieldBytes = 40 // two slices' and a string's heads, over the fields of an answer

	hit     = "healthe; hit"
	old     = "healthe; fwd=stale; detail=stale-if-error"
	warning = `110 healthe "Response is Stale"`
	silence = "private, no-cache" // for clients, where a service says nothing
)

// unkept are the fields of an answer that concern one connection or one request (RFC 9111, 3.1), or are made anew.
var unkept = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Age", "Cache-Status", "Content-Length", "Ratelimit", "Ratelimit-Policy", "Server-Timing", "Traceparent",
	"Warning", "X-Request-Id",
}

// entry is a complete answer, or, where vary is set, what the answers at this address vary by. It never changes.
type entry struct {
	mark
	vary     []string
	status   int
	header   []field
	etag     string
	body     []byte
	born     time.Time     // when it was asked for, less the Age that it came with
	came     time.Duration // with this Age
	lifetime time.Duration
	stale    time.Duration // beyond lifetime, while the service is out
	strict   bool          // never then
	kept     time.Duration
	weight   uint32
}

type field struct {
	name   string
	values []string
}

// newEntry makes an entry of an answer to a question asked at began. It holds nothing of h: one line of it would hold all.
func newEntry(q *question, status int, h http.Header, body []byte, began time.Time) *entry {
	said := parse(h["Cache-Control"])
	e := &entry{mark: q.mark, status: status, body: body, came: max(0, seconds(h.Get("Age")))}
	e.born = began.Add(-e.came)
	e.lifetime = lifetimeOf(said, h, q.policy.TTL, q.policy.Shared)
	e.strict = !q.policy.StaleIfError || said.noCache || said.mustRevalidate || q.policy.Shared && said.sMaxAge != unsaid
	if !e.strict {
		e.stale = q.policy.Stale
	}
	if said.staleIfError != unsaid {
		e.stale = min(e.stale, said.staleIfError)
	}
	e.header = fields(h)
	for _, f := range e.header {
		if f.name == "Etag" {
			e.etag = f.values[0]
		}
	}
	e.kept = e.lifetime + e.stale - e.came
	if e.etag != "" {
		e.kept = max(e.kept, validators)
	}
	e.weigh()
	return e
}

// fields copies what is kept of h, all its text at once.
func fields(h http.Header) []field {
	all := make([]field, 0, len(h))
	unwanted := connected(h)
	lines, size := 0, 0
	for name, values := range h {
		if !slices.Contains(unkept, name) && !slices.Contains(unwanted, name) && len(values) > 0 {
			all = append(all, field{name, values})
			lines += len(values)
			size += len(name) + len(strings.Join(values, ""))
		}
	}
	slices.SortFunc(all, func(a, b field) int { return strings.Compare(a.name, b.name) })
	var text strings.Builder
	text.Grow(size)
	for _, f := range all {
		text.WriteString(f.name)
		for _, v := range f.values {
			text.WriteString(v)
		}
	}
	rest, values := text.String(), make([]string, 0, lines)
	take := func(n int) string {
		s := rest[:n]
		rest = rest[n:]
		return s
	}
	for i, f := range all {
		all[i].name = take(len(f.name))
		first := len(values)
		for _, v := range f.values {
			values = append(values, take(len(v)))
		}
		all[i].values = slices.Clip(values[first:]) // whoever appends to it gets a copy
	}
	return all
}

// connected are the fields that Connection names.
func connected(h http.Header) []string {
	var names []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return names
}

// weigh counts what the entry takes in memory, with what allocation rounds up.
func (e *entry) weigh() {
	n := len(e.body)
	for _, f := range e.header {
		n += fieldBytes + len(f.name)
		for _, v := range f.values {
			n += 16 + len(v)
		}
	}
	for _, v := range e.vary {
		n += 16 + len(v)
	}
	e.weight = uint32(overhead + n + n/8)
}

func (e *entry) age(now time.Time) time.Duration { return max(0, now.Sub(e.born)) }

// newer tells whether e was asked for after other.
func (e *entry) newer(other *entry) bool {
	if e.mark != other.mark {
		return e.missed > other.missed || e.number > other.number
	}
	return e.born.After(other.born)
}

// refreshed is e after the service said, in h, that it still holds (RFC 9111, 3.2 and 4.3.4).
func (e *entry) refreshed(q *question, h http.Header, began time.Time) *entry {
	merged := http.Header{}
	for _, f := range e.header {
		merged[f.name] = f.values
	}
	for name, values := range h {
		if !strings.HasPrefix(name, "Content-") {
			merged[name] = values
		}
	}
	return newEntry(q, e.status, merged, e.body, began)
}

// head fills in the header of an answer to r, and tells whether the caller has the body already.
func (e *entry) head(h http.Header, r *http.Request, now time.Time, from string) (unchanged bool) {
	unchanged = e.status == http.StatusOK && e.etag != "" && matches(r.Header["If-None-Match"], e.etag)
	for _, f := range e.header {
		if !unchanged || !strings.HasPrefix(f.name, "Content-") || f.name == "Content-Location" {
			h[f.name] = f.values
		}
	}
	unlessSaid(h)
	if from == hit || from == old || e.came > 0 {
		h["Age"] = []string{strconv.Itoa(int(e.age(now) / time.Second))}
	}
	if from == old {
		h["Warning"] = []string{warning}
	}
	h["Cache-Status"] = []string{from}
	return unchanged
}

// unlessSaid makes clients ask again where the service says nothing of keeping its answer.
func unlessSaid(h http.Header) {
	if _, said := h["Cache-Control"]; !said {
		h["Cache-Control"] = []string{silence}
	}
}

// write answers r with a hit.
func (e *entry) write(w http.ResponseWriter, r *http.Request, now time.Time) {
	if e.head(w.Header(), r, now, hit) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(e.body))}
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(e.body) // the caller is gone; nothing left to tell it
	}
}

func (e *entry) answer(r *http.Request, now time.Time, from string) *http.Response {
	h := make(http.Header, len(e.header)+4)
	if e.head(h, r, now, from) {
		return respond(r, http.StatusNotModified, h, nil)
	}
	return respond(r, e.status, h, e.body)
}

func respond(r *http.Request, status int, h http.Header, body []byte) *http.Response {
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: http.NoBody, ContentLength: int64(len(body)), Request: r,
	}
	if status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		if r.Method != http.MethodHead {
			resp.Body = io.NopCloser(bytes.NewReader(body))
		}
	}
	return resp
}

// matches compares If-None-Match with an entity tag, weakly (RFC 9110, 13.1.2).
func matches(lines []string, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for _, line := range lines {
		for line != "" {
			var one string
			one, line = cut(line)
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}
