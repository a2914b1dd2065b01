package orytest

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// CourierSecret is what Kratos sends its mail with.
const CourierSecret = "courier-secret-of-the-tests"

// Letter is a mail as it was handed to mailing, by Kratos or by auth.
type Letter struct {
	To       string // an address, or a user
	Template string
	Data     map[string]string
}

// Mail stands for the mailing service.
type Mail struct {
	mu      sync.Mutex
	letters []Letter
	refused int
}

func newMail() *Mail { return &Mail{} }

// ServeHTTP takes the mail of Kratos' courier.
func (m *Mail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Recipient string            `json:"recipient"`
		Template  string            `json:"template_type"`
		Data      map[string]string `json:"template_data"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	if r.URL.Path != "/mailing/v1/courier" || r.Header.Get("Authorization") != "Bearer "+CourierSecret || err != nil {
		m.mu.Lock()
		m.refused++
		m.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.Add(Letter{To: body.Recipient, Template: body.Template, Data: body.Data})
	w.WriteHeader(http.StatusAccepted)
}

// Add takes a mail.
func (m *Mail) Add(l Letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
}

// To returns the mail to one recipient so far.
func (m *Mail) To(recipient string) []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.letters), func(l Letter) bool { return l.To != recipient })
}

// Await waits for the nth mail (from 1) of a template to a recipient.
func (m *Mail) Await(t testing.TB, recipient, template string, n int) Letter {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		found := slices.DeleteFunc(m.To(recipient), func(l Letter) bool { return l.Template != template })
		if len(found) >= n {
			return found[n-1]
		}
		select {
		case <-deadline:
			t.Fatalf("no mail %s to %s", template, recipient)
		case <-tick.C:
		}
	}
}
