package pages

import (
	"errors"
	"net/http"
	"net/url"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/gate"
)

// notices are what a page may say that another one sent the browser to.
var notices = map[string]string{
	"verified":   "Your address is verified. You can log in now.",
	"recovered":  "Your password is set. You can log in now.",
	"logged-out": "You are logged out.",
	"deleted":    "Your account is deleted.",
	"sent":       "If an account has this address, a mail is on its way to it.",
	"password":   "Your password is changed, and all other sessions are ended.",
	"email-sent": "A code is on its way to your new address. Enter it below.",
	"email":      "Your address is changed.",
	"name":       "Your name is changed.",
	"session":    "The session is ended.",
	"sessions":   "All other sessions are ended.",
	"consent":    "The application can no longer act for you.",
}

func notice(r *http.Request) string { return notices[r.URL.Query().Get("done")] }

func done(w http.ResponseWriter, r *http.Request, path, what string) error {
	http.Redirect(w, r, path+"?done="+what, http.StatusSeeOther)
	return nil
}

func loginForm(challenge string) form {
	f := form{ID: "login", Action: "/login", Submit: "Log in", Fields: []*field{
		text("identifier", "Username or e-mail address", "username"), passwordField("password", "password", "Password"),
	}}
	if challenge != "" {
		f.Hidden = map[string]string{"login_challenge": challenge}
	}
	return f
}

func loginPage(f form) page {
	return page{Title: "Log in", Forms: []form{f}, Links: []link{{"/registration", "Make an account"}, {"/recovery", "I forgot my password"}, {"/verification", "I have not verified my address"}}}
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) error {
	challenge := r.URL.Query().Get("login_challenge")
	view := loginPage(loginForm(challenge))
	view.Notice = notice(r)
	if challenge != "" {
		sent, err := p.answerLogin(w, r, challenge, &view)
		if sent || err != nil {
			return err
		}
	} else if who, err := p.passport(r); who != nil || err != nil {
		if err != nil {
			return err
		}
		http.Redirect(w, r, "/settings", http.StatusSeeOther)
		return nil
	}
	view.Forms[0].Fields[0].Focus = view.Forms[0].Fields[0].Value == ""
	return p.show(w, http.StatusOK, view)
}

// answerLogin sends the browser on if it is known who uses it, and else prepares the page.
func (p *pages) answerLogin(w http.ResponseWriter, r *http.Request, challenge string, view *page) (sent bool, err error) {
	asked, err := p.Hydra.GetLogin(r.Context(), challenge)
	if err != nil {
		return false, err
	}
	who, err := p.passport(r)
	if err != nil {
		return false, err
	}
	known := who != nil && (who.Identity.Subject == asked.Subject || !asked.Skip)
	to := ""
	switch {
	case known && (asked.Skip || !asked.Again()):
		to, err = p.Hydra.AcceptLogin(r.Context(), challenge, who.Identity.Subject)
	case asked.Skip: // Hydra remembers somebody who is not here any more: it forgets, and asks anew
		to, err = asked.RequestURL, p.Hydra.ForgetLogins(r.Context(), asked.Subject)
	}
	if err != nil {
		return false, err
	}
	if to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return true, nil
	}
	w.Header().Set("Content-Security-Policy", policy(&asked.Client))
	view.Lead = "to go on to " + asked.Client.Title()
	view.Forms[0].Fields[0].Value = asked.OIDC.Hint
	return false, nil
}

func (p *pages) postLogin(w http.ResponseWriter, r *http.Request) error {
	challenge := r.PostForm.Get("login_challenge")
	view := loginPage(loginForm(challenge))
	if challenge != "" { // before a session starts that would lead nowhere
		asked, err := p.Hydra.GetLogin(r.Context(), challenge)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Security-Policy", policy(&asked.Client))
		view.Lead = "to go on to " + asked.Client.Title()
	}
	var session api.Login
	err := p.call(r, operation{
		method: http.MethodPost, path: "/auth/v1/login", into: &session,
		body: api.Credentials{Identifier: r.PostForm.Get("identifier"), Password: r.PostForm.Get("password")},
	})
	if err != nil {
		return p.again(w, r, view, err)
	}
	gate.SetCookie(w, session.SessionToken, session.ExpiresAt, p.secure)
	to := "/settings"
	if challenge != "" {
		if to, err = p.Hydra.AcceptLogin(r.Context(), challenge, session.UserID.String()); err != nil {
			return err
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// again shows a page whose first form was refused.
func (p *pages) again(w http.ResponseWriter, r *http.Request, view page, refused error) error {
	alert, err := view.Forms[0].refill(r, refused)
	if err != nil {
		return err
	}
	view.Alert = alert
	return p.show(w, statusOf(refused), view)
}

func statusOf(err error) int {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p.Status
	}
	return http.StatusInternalServerError
}

func registrationPage() page {
	name := text("name", "Name", "name")
	name.Max = 100
	username := text("username", "Username", "username")
	username.Max, username.Hint = 30, "3 to 30 letters, digits, dots, dashes or underscores."
	return page{
		Title: "Make an account",
		Forms: []form{{ID: "registration", Action: "/registration", Submit: "Sign up", Fields: []*field{
			name, username, emailField("email"), newPasswordField("password", "password", "Password"),
		}}},
		Links: []link{{"/login", "I have an account"}},
	}
}

func (p *pages) registration(w http.ResponseWriter, _ *http.Request) error {
	view := registrationPage()
	view.Forms[0].Fields[0].Focus = true
	return p.show(w, http.StatusOK, view)
}

func (p *pages) postRegistration(w http.ResponseWriter, r *http.Request) error {
	var c api.Challenge
	err := p.call(r, operation{method: http.MethodPost, path: "/auth/v1/signup", into: &c, body: api.NewAccount{
		Name: r.PostForm.Get("name"), Username: r.PostForm.Get("username"), Email: r.PostForm.Get("email"), Password: r.PostForm.Get("password"),
	}})
	if err != nil {
		return p.again(w, r, registrationPage(), err)
	}
	http.Redirect(w, r, "/verification?"+url.Values{"id": {c.ID.String()}}.Encode(), http.StatusSeeOther)
	return nil
}

func sendForm(action, submit string) form {
	return form{ID: "send", Action: action, Submit: submit, Fields: []*field{emailField("email")}, Hidden: map[string]string{"do": "send"}}
}

func verificationPage(id, code string) page {
	send := sendForm("/verification", "Send a code")
	view := page{Title: "Verify your address", Lead: "We mail a code to your address. It shows that the address is yours.", Forms: []form{send}, Links: []link{{"/login", "Go to log-in"}}}
	if id != "" {
		view.Lead = "We sent a code to your address. If no mail comes within a few minutes, look into your spam folder; the username or the address may also be in use."
		send.Heading, send.Quiet = "No mail?", true
		view.Forms = []form{{ID: "confirm", Action: "/verification", Submit: "Verify", Hidden: map[string]string{"id": id}, Fields: []*field{codeField("code", code)}}, send}
	}
	return view
}

func (p *pages) verification(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	view := verificationPage(q.Get("id"), digits(q.Get("code")))
	view.Notice = notice(r)
	view.Forms[0].Fields[0].Focus = true
	return p.show(w, http.StatusOK, view)
}

func (p *pages) postVerification(w http.ResponseWriter, r *http.Request) error {
	return p.codes(w, r, codes{
		path: "/verification", api: "/auth/v1/verifications", done: "verified", view: verificationPage,
		confirm: api.Code{Code: digits(r.PostForm.Get("code"))},
	})
}

func recoveryPage(id, code string) page {
	send := sendForm("/recovery", "Send a code")
	view := page{Title: "Recover your account", Lead: "We mail a code to your address, with which you set a new password.", Forms: []form{send}, Links: []link{{"/login", "Go to log-in"}}}
	if id != "" {
		view.Lead = "Enter the code that we sent to your address, and a new password."
		send.Heading, send.Quiet = "No mail?", true
		view.Forms = []form{{ID: "confirm", Action: "/recovery", Submit: "Set the password", Hidden: map[string]string{"id": id}, Fields: []*field{
			codeField("code", code), newPasswordField("password", "password", "New password"),
		}}, send}
	}
	return view
}

func (p *pages) recovery(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	view := recoveryPage(q.Get("id"), digits(q.Get("code")))
	view.Notice = notice(r)
	view.Forms[0].Fields[0].Focus = true
	return p.show(w, http.StatusOK, view)
}

func (p *pages) postRecovery(w http.ResponseWriter, r *http.Request) error {
	return p.codes(w, r, codes{
		path: "/recovery", api: "/auth/v1/recoveries", done: "recovered", view: recoveryPage,
		confirm: api.NewPassword{Code: digits(r.PostForm.Get("code")), Password: r.PostForm.Get("password")},
	})
}

// codes is what verification and recovery differ in.
type codes struct {
	path, api, done string
	confirm         any
	view            func(id, code string) page
}

// codes sends a code or takes one, as the form says.
func (p *pages) codes(w http.ResponseWriter, r *http.Request, c codes) error {
	id := r.PostForm.Get("id")
	if r.PostForm.Get("do") == "send" {
		var sent api.Challenge
		err := p.call(r, operation{method: http.MethodPost, path: c.api, into: &sent, body: api.Address{Email: r.PostForm.Get("email")}})
		if err != nil {
			return p.again(w, r, c.view("", ""), err)
		}
		http.Redirect(w, r, c.path+"?"+url.Values{"id": {sent.ID.String()}, "done": {"sent"}}.Encode(), http.StatusSeeOther)
		return nil
	}
	err := p.call(r, operation{method: http.MethodPost, path: c.api + "/" + url.PathEscape(id) + "/confirmation", body: c.confirm})
	if err != nil {
		return p.again(w, r, c.view(id, ""), err)
	}
	return done(w, r, "/login", c.done)
}

// digits takes the spaces out that people type and mail programs add.
func digits(code string) string {
	out := make([]byte, 0, 6)
	for i := range len(code) {
		if '0' <= code[i] && code[i] <= '9' && len(out) < 6 {
			out = append(out, code[i])
		}
	}
	return string(out)
}
