package pages

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
)

// page is all that the templates show.
type page struct {
	Title, Lead string
	Alert       string // what went wrong, in one sentence
	Notice      string // what went well
	User        string // who is logged in
	Forms       []form
	Links       []link
	Settings    *settingsView
	Consent     *consentView
}

// Bad tells whether the page shows a mistake, for its title.
func (p page) Bad() bool { return p.Alert != "" }

type link struct{ URL, Text string }

type form struct {
	ID, Heading, Intro string
	Action             string            // the path that it is sent to
	Hidden             map[string]string // values that go along
	Fields             []*field
	Submit             string
	Danger, Quiet      bool // how the button looks
}

// field is one input. Its name is that of the property in the API's request.
type field struct {
	ID, Name, Label, Hint string
	Type, Autocomplete    string
	Inputmode             string
	Value, Error          string
	Max                   int
	Focus                 bool
}

// DescribedBy names the texts that explain the field.
func (f field) DescribedBy() string {
	switch {
	case f.Error != "" && f.Hint != "":
		return f.ID + "-error " + f.ID + "-hint"
	case f.Error != "":
		return f.ID + "-error"
	case f.Hint != "":
		return f.ID + "-hint"
	}
	return ""
}

func text(name, label, autocomplete string) *field {
	return &field{ID: name, Name: name, Label: label, Type: "text", Autocomplete: autocomplete, Max: 254}
}

func emailField(id string) *field {
	return &field{ID: id, Name: "email", Label: "E-mail address", Type: "email", Autocomplete: "email", Max: 254}
}

func passwordField(id, name, label string) *field {
	return &field{ID: id, Name: name, Label: label, Type: "password", Autocomplete: "current-password", Max: 200}
}

func newPasswordField(id, name, label string) *field {
	return &field{ID: id, Name: name, Label: label, Type: "password", Autocomplete: "new-password", Max: 72, Hint: "At least 10 characters. A few unrelated words are easy to remember and hard to guess."}
}

func codeField(id, value string) *field {
	return &field{ID: id, Name: "code", Label: "Code from the mail", Type: "text", Inputmode: "numeric", Autocomplete: "one-time-code", Value: value, Max: 6, Hint: "Six digits."}
}

// mistakes says in a person's words what the contract says in a machine's.
var mistakes = map[string]string{
	"username":         "Use 3 to 30 letters, digits, dots, dashes or underscores; begin and end with a letter or digit.",
	"email":            "Enter a complete address, such as name@example.org.",
	"name":             "Enter your name.",
	"code":             "Enter the six digits from the mail.",
	"password":         "Use 10 to 72 characters.",
	"new_password":     "Use 10 to 72 characters.",
	"current_password": "Enter your current password.",
	"identifier":       "Enter your username or e-mail address.",
}

// refill shows f again: with what was typed, except passwords, and what was wrong with it. It
// returns the sentence for the top of the page, and an error if it is no mistake of the person.
func (f *form) refill(r *http.Request, err error) (string, error) {
	refused, ok := errors.AsType[*problem.Problem](err)
	if !ok || refused.Status >= http.StatusInternalServerError {
		return "", err
	}
	for _, in := range f.Fields {
		if in.Type != "password" {
			in.Value = r.PostForm.Get(in.Name)
		}
	}
	found := false
	for _, in := range f.Fields {
		for _, e := range refused.Errors {
			if e.Pointer == "/"+in.Name && in.Error == "" {
				in.Error = mistakes[in.Name]
				if refused.Type == problem.Base+"weak-password" {
					in.Error = e.Detail
				}
				in.Focus, found = !found, true
			}
		}
	}
	if found {
		return "Please look at the marked fields.", nil
	}
	if len(f.Fields) > 0 {
		f.Fields[len(f.Fields)-1].Focus = true
	}
	return cmp.Or(refused.Detail, refused.Title), nil
}

func tooMany(wait time.Duration) string {
	minutes := int(wait.Minutes()) + 1
	if minutes == 1 {
		return "That were too many tries. Please wait a minute."
	}
	return fmt.Sprintf("That were too many tries. Please wait %d minutes.", minutes)
}

// settingsView is what the settings page lists.
type settingsView struct {
	Me       api.Me
	Sessions []sessionView
	Consents []api.Consent
}

type sessionView struct {
	api.Session
	Program string
}

// program names the browser and the system of a User-Agent, as far as they are common ones.
func program(agent *string) string {
	if agent == nil {
		return "Unknown program"
	}
	find := func(marks ...string) string { // pairs of what it says and what it means; the first counts
		for i := 0; i < len(marks); i += 2 {
			if strings.Contains(*agent, marks[i]) {
				return marks[i+1]
			}
		}
		return ""
	}
	browser := find("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari")
	system := find("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "Mac", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	name, _, _ := strings.Cut(*agent, " ")
	return name
}

// consentView is what an application asks for.
type consentView struct {
	App, URI  string
	Policy    string
	Challenge string
	Scopes    []scopeView
}

type scopeView struct{ Name, Text string }
