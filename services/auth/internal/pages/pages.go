// Package pages serves the browser: log-in, sign-up, verification, recovery, settings, consent,
// log-out and errors. Every page works without JavaScript and by keyboard.
//
// A page is a client of auth's own API, called in the same process: what a form sends goes
// through the same contract, the same limits and the same rules as everybody's requests.
package pages

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

//go:embed templates/*.html static/auth.css
var files embed.FS

const maxForm = 16 << 10 // bytes

// Config is what the pages need.
type Config struct {
	PublicURL string
	API       http.Handler // auth's operations
	Gate      *gate.Gate
	Hydra     *hydra.Client
	Kratos    *kratos.Client
}

type pages struct {
	Config
	secure    bool // the site has TLS
	templates *template.Template
	scopes    map[string]string // what each lets an application do
}

// New returns the handler of all pages.
func New(cfg Config) (http.Handler, error) {
	templates, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	scopes, err := describeScopes()
	if err != nil {
		return nil, err
	}
	p := &pages{Config: cfg, secure: strings.HasPrefix(cfg.PublicURL, "https://"), templates: templates, scopes: scopes}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, page := range map[string]struct {
		get, post func(http.ResponseWriter, *http.Request) error
	}{
		"/login":        {p.login, p.postLogin},
		"/registration": {p.registration, p.postRegistration},
		"/verification": {p.verification, p.postVerification},
		"/recovery":     {p.recovery, p.postRecovery},
		"/settings":     {p.settings, p.postSettings},
		"/consent":      {p.consent, p.postConsent},
		"/logout":       {p.logout, p.postLogout},
	} {
		mux.Handle("GET "+path, p.handle(page.get))
		mux.Handle("POST "+path, p.handle(page.post))
	}
	mux.Handle("GET /error", p.handle(p.failed))
	mux.Handle("GET /static/auth.css", http.StripPrefix("/static/", cached(http.FileServerFS(static))))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { problem.Write(w, r, problem.NotFound("Path")) })

	// Browsers say whether a form was sent from another site; such a one is not taken.
	guard := http.NewCrossOriginProtection()
	if err := guard.AddTrustedOrigin(origin(cfg.PublicURL)); err != nil {
		return nil, err
	}
	guard.SetDenyHandler(p.handle(func(w http.ResponseWriter, _ *http.Request) error {
		return p.show(w, http.StatusForbidden, page{Title: "That did not come from here", Lead: "The form was sent from another site, so nothing was done.", Links: []link{{"/login", "Go to log-in"}}})
	}))
	return guard.Handler(mux), nil
}

// handle gives every page the same headers and the same answer to failures.
func (p *pages) handle(page func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy(nil))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		var err error
		if r.Method == http.MethodPost {
			err = parseForm(r)
		}
		if err == nil {
			err = page(w, r)
		}
		if err != nil {
			p.fail(w, r, err)
		}
	})
}

func parseForm(r *http.Request) error {
	err := r.ParseForm()
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); err == nil || tooBig {
		return err
	}
	return problem.New(http.StatusBadRequest, "invalid", "That could not be read", "The form did not arrive as a browser sends it. Please try again.").Because(err)
}

// policy lets a page load our style and send forms to us, and nothing else. Browsers hold the
// redirect after a form to it too, so the pages that send people back to an application name it.
func policy(app *hydra.App) string {
	forms := []string{"'self'"}
	if app != nil {
		for _, target := range app.RedirectURIs {
			if u, err := url.Parse(target); err == nil && u.Scheme != "" && !strings.ContainsAny(u.Host, " ;,") {
				if u.Scheme == "http" || u.Scheme == "https" {
					forms = append(forms, u.Scheme+"://"+u.Host)
				} else {
					forms = append(forms, u.Scheme+":")
				}
			}
		}
	}
	return "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action " + strings.Join(forms, " ")
}

// fail shows what went wrong, in words that anyone may read.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	view := page{Title: "Something went wrong", Lead: "This is our mistake. Please try again in a moment.", Links: []link{{"/login", "Go to log-in"}}}
	status := http.StatusInternalServerError
	tooBig, _ := errors.AsType[*http.MaxBytesError](err)
	switch refused, _ := errors.AsType[*problem.Problem](err); {
	case errors.Is(err, hydra.ErrGone):
		status = http.StatusGone
		view.Title, view.Lead = "This page is over", "The log-in that the application asked for was finished already, or took too long. Go back to the application and start again."
	case tooBig != nil:
		status = http.StatusRequestEntityTooLarge
		view.Title, view.Lead = "That was too much", "The form was longer than anything it asks for."
	case errors.Is(err, gate.ErrAway), errors.Is(err, hydra.ErrAway), refused != nil && refused.Status >= http.StatusInternalServerError:
		status = http.StatusServiceUnavailable
		view.Title, view.Lead = "We will be right back", "Sign-in is not available at the moment. Please try again in a minute."
		w.Header().Set("Retry-After", "5")
	case refused != nil:
		status, view.Title, view.Lead = refused.Status, refused.Title, refused.Detail
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	slog.Log(r.Context(), level, "page failed", "status", status, "error", err)
	if err := p.show(w, status, view); err != nil {
		slog.ErrorContext(r.Context(), "page not shown", "error", err)
	}
}

// show writes a page, whole or not at all.
func (p *pages) show(w http.ResponseWriter, status int, view page) error {
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, "page.html", view); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // the browser is gone; nothing left to tell it
	return nil
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func origin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// describeScopes reads from the contract what each scope lets an application do, and adds what
// OpenID Connect defines.
func describeScopes() (map[string]string, error) {
	doc, err := contract.Load("auth")
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"openid":         "Know who you are",
		"profile":        "See your name and username",
		"email":          "See your e-mail address",
		"offline_access": "Stay connected while you are away, until you withdraw this",
	}
	for scope, text := range doc.Components.SecuritySchemes["healthe"].Value.Flows.AuthorizationCode.Scopes {
		all[scope] = text
	}
	return all, nil
}
