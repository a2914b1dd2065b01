package auth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/gate"
)

// verifyPath is where Traefik asks about a request, and where a service exchanges its access
// token for an identity. It is no operation of the contract: it takes any request's headers.
const verifyPath = "/auth/internal/verify"

var (
	errBadCredential = problem.Unauthenticated("The token or session is not valid, or no longer.")
	errCrossOrigin   = problem.New(http.StatusForbidden, "cross-origin", "Request from another site",
		"A session cookie changes nothing on behalf of another site. Send the request from our own pages, or use a token.")
)

// forwardAuth answers with the identity that a request is made with, as a header. Without any
// credential it answers 200 without one: whether that is enough, the service's contract says.
type forwardAuth struct {
	gate   *gate.Gate
	origin string
}

func newForwardAuth(g *gate.Gate, publicURL string) *forwardAuth {
	return &forwardAuth{gate: g, origin: origin(publicURL)}
}

func (f *forwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, cookie, ok := credential(r)
	switch {
	case !ok:
		refuse(w, r, errBadCredential)
		return
	case token == "":
		return
	case cookie && !f.sameOrigin(r.Header):
		refuse(w, r, errCrossOrigin)
		return
	}
	open := f.gate.Open
	if cookie {
		open = f.gate.OpenSession
	}
	passport, err := open(r.Context(), token)
	if err != nil {
		refuse(w, r, gateProblem(err))
		return
	}
	w.Header()[identity.Header] = passport.Header
}

// refuse answers in Traefik's place: what it says goes to the client as it is.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if id := r.Header.Get("X-Request-Id"); id != "" {
		w.Header().Set("X-Request-Id", id)
	}
	problem.Write(w, r, err)
}

func gateProblem(err error) error {
	if errors.Is(err, gate.ErrRefused) {
		return errBadCredential
	}
	return problem.Unavailable("Sign-in").Because(err)
}

// credential returns the token that a request carries, and whether as a cookie, which a
// browser sends unasked. It is not ok if there is an Authorization that we do not know.
func credential(r *http.Request) (token string, cookie, ok bool) {
	if values := r.Header["Authorization"]; len(values) > 0 {
		scheme, token, found := strings.Cut(values[0], " ")
		return token, false, found && token != "" && len(values) == 1 && strings.EqualFold(scheme, "Bearer")
	}
	if len(r.Header["Cookie"]) == 0 {
		return "", false, true
	}
	c, err := r.Cookie(gate.Cookie)
	if err != nil {
		return "", false, true
	}
	return c.Value, true, true
}

// sameOrigin tells whether a request that uses the session cookie is safe, or sent by our own
// pages: browsers say in Origin, or at least in Referer, where a request comes from.
func (f *forwardAuth) sameOrigin(h http.Header) bool {
	switch h.Get("X-Forwarded-Method") {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	from := h.Get("Origin")
	if from == "" {
		from = origin(h.Get("Referer"))
	}
	here := h.Get("X-Forwarded-Proto") + "://" + h.Get("X-Forwarded-Host") // of Traefik's own making
	return from != "" && from != "null" && (from == f.origin || from == here)
}

func origin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
