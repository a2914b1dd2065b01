package pages

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

// standard are the scopes of OpenID Connect, which anyone may grant.
var standard = []string{"openid", "offline_access", "profile", "email"}

// asked returns what an application asks for, and who is asked: the one who is logged in in
// this browser, who must be the one that Hydra means.
func (p *pages) asked(r *http.Request, challenge string) (hydra.Consent, *gate.Passport, error) {
	asked, err := p.Hydra.GetConsent(r.Context(), challenge)
	if err != nil {
		return asked, nil, err
	}
	who, err := p.passport(r)
	if err == nil && (who == nil || who.Identity.Subject != asked.Subject) {
		err = hydra.ErrGone // logged out since, or as someone else
	}
	return asked, who, err
}

// grantable returns those scopes that this person can grant: no role gives an application more
// than its user has.
func grantable(asked hydra.Consent, who *gate.Passport) []string {
	return slices.DeleteFunc(slices.Clone(asked.Scopes), func(s string) bool {
		return !slices.Contains(standard, s) && !who.Identity.Has(s)
	})
}

func (p *pages) consent(w http.ResponseWriter, r *http.Request) error {
	challenge := r.URL.Query().Get("consent_challenge")
	asked, who, err := p.asked(r, challenge)
	if err != nil {
		return err
	}
	scopes := grantable(asked, who)
	if asked.Skip || asked.Client.SkipConsent {
		return p.grant(w, r, challenge, asked, scopes)
	}
	person, err := p.person(r, asked.Subject)
	if err != nil {
		return err
	}
	view := page{Title: "Allow " + asked.Client.Title() + "?", User: person.Traits.Username, Consent: &consentView{
		App: asked.Client.Title(), URI: web(asked.Client.URI), Policy: web(asked.Client.PolicyURI), Challenge: challenge,
	}}
	for _, s := range scopes {
		view.Consent.Scopes = append(view.Consent.Scopes, scopeView{s, p.scopes[s]})
	}
	w.Header().Set("Content-Security-Policy", policy(&asked.Client))
	return p.show(w, http.StatusOK, view)
}

func (p *pages) postConsent(w http.ResponseWriter, r *http.Request) error {
	challenge := r.PostForm.Get("consent_challenge")
	asked, who, err := p.asked(r, challenge)
	if err != nil {
		return err
	}
	if r.PostForm.Get("do") != "allow" {
		to, err := p.Hydra.RejectConsent(r.Context(), challenge)
		if err == nil {
			http.Redirect(w, r, to, http.StatusSeeOther)
		}
		return err
	}
	chosen := slices.DeleteFunc(grantable(asked, who), func(s string) bool { return s != "openid" && !slices.Contains(r.PostForm["scope"], s) })
	return p.grant(w, r, challenge, asked, chosen)
}

// grant tells Hydra what the person allows, with what the ID token may say.
func (p *pages) grant(w http.ResponseWriter, r *http.Request, challenge string, asked hydra.Consent, scopes []string) error {
	person, err := p.person(r, asked.Subject)
	if err != nil {
		return err
	}
	claims := map[string]any{}
	if slices.Contains(scopes, "profile") {
		claims["name"], claims["preferred_username"] = person.Traits.Name, person.Traits.Username
	}
	if slices.Contains(scopes, "email") {
		claims["email"], claims["email_verified"] = person.Traits.Email, person.Verified()
	}
	to, err := p.Hydra.AcceptConsent(r.Context(), challenge, scopes, claims)
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
	return err
}

func (p *pages) person(r *http.Request, subject string) (kratos.Identity, error) {
	id, err := uuid.Parse(subject)
	if err != nil {
		return kratos.Identity{}, hydra.ErrGone
	}
	person, err := p.Kratos.GetIdentity(r.Context(), id)
	switch {
	case errors.Is(err, kratos.ErrNotFound):
		err = hydra.ErrGone
	case err != nil:
		err = errors.Join(gate.ErrAway, err)
	}
	return person, err
}

func (p *pages) logout(w http.ResponseWriter, r *http.Request) error {
	challenge := r.URL.Query().Get("logout_challenge")
	f := form{ID: "logout", Action: "/logout", Submit: "Log out"}
	if challenge != "" {
		if _, err := p.Hydra.GetLogout(r.Context(), challenge); err != nil {
			return err
		}
		f.Hidden = map[string]string{"logout_challenge": challenge}
	}
	return p.show(w, http.StatusOK, page{Title: "Log out?", Lead: "You end your session in this browser.", Forms: []form{f}, Links: []link{{"/settings", "Stay logged in"}}})
}

func (p *pages) postLogout(w http.ResponseWriter, r *http.Request) error {
	who, err := p.passport(r)
	if err != nil {
		return err
	}
	if who != nil {
		if err := p.call(r, operation{method: http.MethodPost, path: "/auth/v1/logout", as: who}); err != nil {
			return err
		}
	}
	gate.SetCookie(w, "", time.Time{}, p.secure)
	challenge := r.PostForm.Get("logout_challenge")
	if challenge == "" {
		return done(w, r, "/login", "logged-out")
	}
	to, err := p.Hydra.AcceptLogout(r.Context(), challenge)
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
	return err
}

var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// failed is where Hydra sends a browser that it cannot send back to an application. What else
// stands in the address is not shown: anyone could have written it.
func (p *pages) failed(w http.ResponseWriter, r *http.Request) error {
	view := page{Title: "That did not work", Lead: "The application asked for something that cannot be done. Go back to it and start again; if it happens again, tell its makers.", Links: []link{{"/login", "Go to log-in"}}}
	if code := r.URL.Query().Get("error"); errorCode.MatchString(code) {
		view.Alert = "What they may want to know: " + code
	}
	return p.show(w, http.StatusBadRequest, view)
}

// web returns a link that is safe to show.
func web(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.String()
}
