package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/healthe/healthe/kit/identity"
)

// key names an answer without holding anything of its caller.
type key [sha256.Size]byte

// keyOf names what the caller asks for: their subject, session, client, scopes and roles, which answers may show, and the
// operation, path and query. It holds no token, so that it outlives one and a stranger's finds nothing. False if the query
// makes no sense.
func keyOf(p *Policy, u *url.URL, caller identity.Identity) (key, bool) {
	query := u.RawQuery
	if strings.ContainsAny(query, "&;%+") { // one parameter, plainly written, is canonical
		values, err := url.ParseQuery(query)
		if err != nil {
			return key{}, false
		}
		query = values.Encode()
	}
	b := make([]byte, 0, 512)
	b = part(b, p.Operation)
	b = part(b, u.EscapedPath())
	b = part(b, query)
	if !p.Shared {
		b = part(b, caller.Subject)
		b = part(b, caller.SessionID)
		b = part(b, caller.ClientID)
		b = set(b, caller.Scopes)
		b = set(b, caller.Roles)
	}
	return sha256.Sum256(b), true
}

// part appends s with its length, so that no two lists of parts look the same.
func part(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func set(b []byte, all []string) []byte {
	if !slices.IsSorted(all) {
		var few [32]string // as many as there are scopes, without a trip to the heap
		all = append(few[:0], all...)
		slices.Sort(all)
	}
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, s := range all {
		b = part(b, s)
	}
	return b
}

// variant names the answer to a request with these values of the header fields in vary.
func (k key) variant(vary []string, h http.Header) key {
	b := append(make([]byte, 0, 512), k[:]...)
	for _, name := range vary {
		b = part(part(b, name), strings.Join(h[name], ","))
	}
	return sha256.Sum256(b)
}

// perRequest are fields of a request that differ from one to the next. An answer that varies by them serves nobody else.
var perRequest = []string{"*", "Authorization", "Cookie", identity.Header, "X-Request-Id", "Traceparent"}

// variesBy returns the request's fields that an answer differs by, in order, and false if no other request will have them.
func variesBy(h http.Header) ([]string, bool) {
	var names []string
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
			if slices.Contains(perRequest, name) {
				return nil, false
			}
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, true
}
