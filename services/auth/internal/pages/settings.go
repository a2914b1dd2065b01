package pages

import (
	"net/http"
	"net/url"
	"time"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/auth/internal/gate"
)

// The forms of the settings page, by the value of their hidden `do`.
const (
	doEmail = iota
	doCode
	doPassword
	doDelete
	doName
)

func settingsForms() []form {
	forms := []form{
		{
			ID: "email", Heading: "Change the address", Intro: "A code goes to the new address. The old one stays until you enter it.", Submit: "Send the code",
			Fields: []*field{emailField("new-email"), passwordField("email-password", "password", "Your password")},
		},
		{ID: "code", Submit: "Confirm the new address", Quiet: true, Fields: []*field{codeField("email-code", "")}},
		{
			ID: "password", Heading: "Change the password", Intro: "All other sessions end.", Submit: "Change the password",
			Fields: []*field{passwordField("current", "current_password", "Current password"), newPasswordField("new", "new_password", "New password")},
		},
		{
			ID: "delete", Heading: "Delete the account", Intro: "Your account, its sessions and all permissions of applications are deleted for good.", Submit: "Delete my account", Danger: true,
			Fields: []*field{passwordField("delete-password", "password", "Your password")},
		},
		{ID: "name", Submit: "Change the name", Quiet: true, Fields: []*field{text("name", "New name", "name")}},
	}
	forms[doEmail].Fields[0].Label = "New e-mail address"
	forms[doName].Fields[0].Max = 100
	for i := range forms {
		forms[i].Action, forms[i].Hidden = "/settings", map[string]string{"do": forms[i].ID}
	}
	return forms
}

func (p *pages) settings(w http.ResponseWriter, r *http.Request) error {
	who, err := p.passport(r)
	if err != nil {
		return err
	}
	if who == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return nil
	}
	view := page{Forms: settingsForms(), Notice: notice(r)}
	view.Forms[doCode].Fields[0].Focus = r.URL.Query().Get("done") == "email-sent"
	return p.showSettings(w, r, who, http.StatusOK, view)
}

func (p *pages) showSettings(w http.ResponseWriter, r *http.Request, who *gate.Passport, status int, view page) error {
	var s settingsView
	var sessions api.SessionPage
	var consents api.ConsentPage
	for _, o := range []operation{
		{path: "/auth/v1/me", into: &s.Me},
		{path: "/auth/v1/sessions?limit=50", into: &sessions},
		{path: "/auth/v1/consents?limit=50", into: &consents},
	} {
		o.method, o.as = http.MethodGet, who
		if err := p.call(r, o); err != nil {
			return err
		}
	}
	for _, session := range sessions.Items {
		s.Sessions = append(s.Sessions, sessionView{session, program(session.UserAgent)})
	}
	s.Consents = consents.Items
	for i := range s.Consents {
		for n, scope := range s.Consents[i].Scopes {
			if text := p.scopes[scope]; text != "" {
				s.Consents[i].Scopes[n] = text
			}
		}
	}
	view.Title, view.User, view.Settings = "Your account", s.Me.Username, &s
	return p.show(w, status, view)
}

func (p *pages) postSettings(w http.ResponseWriter, r *http.Request) error {
	who, err := p.passport(r)
	if err != nil {
		return err
	}
	if who == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return nil
	}
	v := r.PostForm
	switch v.Get("do") {
	case "email":
		return p.change(w, r, change{who, doEmail, "email-sent"}, operation{
			method: http.MethodPut, path: "/auth/v1/me/email",
			body: api.EmailChange{Email: v.Get("email"), Password: v.Get("password")},
		})
	case "name":
		return p.change(w, r, change{who, doName, "name"}, operation{method: http.MethodPatch, path: "/auth/v1/me", body: api.MeChange{Name: v.Get("name")}})
	case "code":
		return p.change(w, r, change{who, doCode, "email"}, operation{
			method: http.MethodPost, path: "/auth/v1/me/email/confirmation",
			body: api.Code{Code: digits(v.Get("code"))},
		})
	case "password":
		return p.change(w, r, change{who, doPassword, "password"}, operation{
			method: http.MethodPut, path: "/auth/v1/me/password",
			body: api.PasswordChange{CurrentPassword: v.Get("current_password"), NewPassword: v.Get("new_password")},
		})
	case "session":
		return p.change(w, r, change{who, -1, "session"}, operation{method: http.MethodDelete, path: "/auth/v1/sessions/" + url.PathEscape(v.Get("id"))})
	case "sessions":
		return p.change(w, r, change{who, -1, "sessions"}, operation{method: http.MethodDelete, path: "/auth/v1/sessions"})
	case "consent":
		return p.change(w, r, change{who, -1, "consent"}, operation{method: http.MethodDelete, path: "/auth/v1/consents/" + url.PathEscape(v.Get("client_id"))})
	case "delete":
		err := p.call(r, operation{method: http.MethodPost, path: "/auth/v1/me/deletion", as: who, body: api.Password{Password: v.Get("password")}})
		if err != nil {
			return p.settingsAgain(w, r, who, doDelete, err)
		}
		gate.SetCookie(w, "", time.Time{}, p.secure)
		return done(w, r, "/login", "deleted")
	}
	http.Redirect(w, r, "/settings", http.StatusSeeOther)
	return nil
}

// change is what one of the forms is about.
type change struct {
	who  *gate.Passport
	form int // -1: a button alone
	done string
}

func (p *pages) change(w http.ResponseWriter, r *http.Request, c change, o operation) error {
	o.as = c.who
	if err := p.call(r, o); err != nil {
		return p.settingsAgain(w, r, c.who, c.form, err)
	}
	return done(w, r, "/settings", c.done)
}

func (p *pages) settingsAgain(w http.ResponseWriter, r *http.Request, who *gate.Passport, n int, refused error) error {
	view := page{Forms: settingsForms()}
	shown := &form{}
	if n >= 0 {
		shown = &view.Forms[n]
	}
	alert, err := shown.refill(r, refused)
	if err != nil {
		return err
	}
	view.Alert = alert
	return p.showSettings(w, r, who, statusOf(refused), view)
}
