package cache

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
)

// answer is what came of a call: a complete answer, which may serve others too, or one for its caller alone, or a failure.
type answer struct {
	entry     *entry
	resp      *http.Response
	err       error
	out       bool // the service is
	stored    bool
	validated bool
	collapsed bool
}

func (a *answer) close() {
	if a.resp != nil {
		_ = a.resp.Body.Close()
	}
}

// forwarded says in the terms of RFC 9211 why the service was asked and what came of it.
func (q *question) forwarded(a answer) string {
	s := "healthe; fwd=miss"
	switch {
	case q.wants.noCache || q.wants.noStore || q.wants.maxAge != unsaid && q.known != nil:
		s = "healthe; fwd=request"
	case q.known != nil:
		s = "healthe; fwd=stale"
	}
	if a.validated {
		s += "; fwd-status=304"
	}
	if a.stored {
		s += "; stored"
	}
	if a.collapsed {
		s += "; collapsed"
	}
	return s
}

// fetch asks the service by out, a copy of the question's request: whether what is known still holds, if that can be
// asked. It keeps the answer if it may.
func (c *Cache) fetch(out *http.Request, q *question) answer {
	out.Header.Del("If-None-Match") // the whole answer serves others too; who has it already is told so from here
	out.Header.Del("If-Modified-Since")
	validating := q.known != nil && q.known.etag != "" && !q.wants.noStore
	if validating {
		out.Header.Set("If-None-Match", q.known.etag)
	}
	began := c.now()
	resp, err := q.next.RoundTrip(out)
	a := answer{resp: resp, err: err, out: c.out(resp, err)}
	switch {
	case err != nil:
		return a
	case validating && resp.StatusCode == http.StatusNotModified:
		_ = resp.Body.Close()
		a = answer{entry: q.known.refreshed(q, resp.Header, began), validated: true}
		a.stored = c.keep(q, a.entry, resp.Header)
		return a
	case a.out && len(resp.Header["Set-Cookie"]) == 0, storable(q, resp):
		return c.complete(q, a, began)
	}
	return a
}

// complete reads an answer to its end. One that is too long stays as it is, with what was read put back.
func (c *Cache) complete(q *question, a answer, began time.Time) answer {
	resp := a.resp
	if resp.ContentLength > maxBody {
		return a
	}
	body, err := readUpTo(resp)
	switch {
	case err != nil: // it broke off: no answer at all, and nobody has seen a part of it
		_ = resp.Body.Close()
		return answer{err: err, out: c.out(nil, err)}
	case len(body) > maxBody:
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		return a
	}
	_ = resp.Body.Close()
	done := answer{entry: newEntry(q, resp.StatusCode, resp.Header, body, began), out: a.out}
	if !a.out {
		done.stored = c.keep(q, done.entry, resp.Header)
	}
	return done
}

// readUpTo reads the body, and one byte more than is kept if it is longer.
func readUpTo(resp *http.Response) ([]byte, error) {
	var b bytes.Buffer
	if resp.ContentLength > 0 {
		b.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		return nil, err
	}
	return slices.Clip(bytes.Clone(b.Bytes())), nil
}

// storable tells whether an answer may be kept, and so may serve others who asked the same at once.
func storable(q *question, resp *http.Response) bool {
	h := resp.Header
	said := parse(h["Cache-Control"])
	vary, ok := variesBy(h)
	encoded := h.Get("Content-Encoding") != "" && !slices.Contains(vary, "Accept-Encoding")
	return resp.StatusCode == http.StatusOK && ok && !said.noStore && !q.wants.noStore && !(q.policy.Shared && said.private) &&
		!encoded && len(h["Set-Cookie"]) == 0 && len(resp.Trailer) == 0 && !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// keep stores e if it is good for anything. It needs no look at what was invalidated meanwhile: e tells by its mark.
func (c *Cache) keep(q *question, e *entry, h http.Header) bool {
	said := parse(h["Cache-Control"])
	if said.noStore || q.wants.noStore || e.kept <= 0 || int64(e.weight) > c.bound {
		return false
	}
	k := q.base
	if vary := e.varies(); len(vary) > 0 {
		by := &entry{vary: vary, kept: e.kept}
		by.weigh()
		c.store.Set(q.base, by)
		k = q.base.variant(vary, q.r.Header)
	}
	c.store.Compute(k, func(kept *entry, found bool) (*entry, otter.ComputeOp) {
		if found && kept.newer(e) {
			return kept, otter.CancelOp
		}
		return e, otter.WriteOp
	})
	return true
}

// varies are the request's fields that e is an answer to.
func (e *entry) varies() []string {
	h := http.Header{}
	for _, f := range e.header {
		if f.name == "Vary" {
			h[f.name] = f.values
		}
	}
	names, _ := variesBy(h)
	return names
}
