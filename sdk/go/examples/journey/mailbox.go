package journey

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// mailbox reads the mail of everyone at a Mailpit, by its API.
type mailbox struct{ url string }

// letter is one mail.
type letter struct {
	ID      string
	Subject string
	Text    string
	Files   []file `json:"Attachments"`
}

type file struct{ PartID, FileName string }

// find returns the latest mail to an address whose subject holds some words, once it is there.
func (m mailbox) find(ctx context.Context, address, subject string) (letter, error) {
	return until(ctx, fmt.Sprintf("the mail %q", subject), func(ctx context.Context) (letter, bool, error) {
		var found struct {
			Messages []struct{ ID, Subject string } `json:"messages"`
		}
		if err := m.get(ctx, "/api/v1/search?query="+url.QueryEscape(`to:"`+address+`"`), &found); err != nil {
			return letter{}, false, err
		}
		for _, l := range found.Messages { // the latest comes first
			if strings.Contains(l.Subject, subject) {
				var whole letter
				err := m.get(ctx, "/api/v1/message/"+l.ID, &whole)
				return whole, err == nil, err
			}
		}
		return letter{}, false, nil
	})
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// code returns the code that a mail holds.
func (l letter) code() (string, error) {
	if code := sixDigits.FindString(l.Text); code != "" {
		return code, nil
	}
	return "", fmt.Errorf("the mail %q holds no code", l.Subject)
}

// calendar returns the event that a mail has attached.
func (m mailbox) calendar(ctx context.Context, l letter) (string, error) {
	for _, f := range l.Files {
		if strings.HasSuffix(f.FileName, ".ics") {
			return m.read(ctx, "/api/v1/message/"+l.ID+"/part/"+f.PartID)
		}
	}
	return "", fmt.Errorf("the mail %q has no .ics", l.Subject)
}

func (m mailbox) get(ctx context.Context, path string, v any) error {
	text, err := m.read(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), v)
}

func (m mailbox) read(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+path, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("mailbox: %s", resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
