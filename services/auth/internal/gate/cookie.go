package gate

import (
	"net/http"
	"time"
)

// Cookie is the name of the browser's session cookie. Its value is a session token of Kratos,
// so that a browser's session is looked up, listed and revoked like any other.
const Cookie = "healthe_session"

// SetCookie gives the browser a session until it ends, and with an empty token takes it away.
func SetCookie(w http.ResponseWriter, token string, until time.Time, secure bool) {
	c := &http.Cookie{
		Name: Cookie, Value: token, Path: "/", Expires: until,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
