package mailing

import (
	"fmt"
	"math/rand/v2"
	"net/mail"
	"strings"
	"time"
	"unicode"

	api "github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

const (
	throttleWindow = time.Hour
	throttleLimit  = 20 // mails to one address in the window
	urgentLimit    = 30 // codes that someone waits for may go beyond, to a bound: nobody can have a mailbox flooded with them

	maxTries     = 20 // with the delays of retryDelay about five hours
	firstDelay   = time.Second
	longestDelay = 30 * time.Minute

	maxAttachments = 2_500_000 // bytes of all attachments of a mail together
)

// checkContent says whether a mail is either a template with data or a subject with a text.
func checkContent(m api.NewMessage) []problem.Field {
	var wrong []problem.Field
	add := func(pointer, detail string) { wrong = append(wrong, problem.Field{Pointer: pointer, Detail: detail}) }
	switch {
	case m.Template != nil:
		if m.Subject != nil {
			add("/subject", "A template brings its own subject.")
		}
		if m.Text != nil {
			add("/text", "A template brings its own text.")
		}
	case m.Subject == nil && m.Text == nil:
		add("/template", "Give a template, or a subject and a text.")
	case m.Subject == nil:
		add("/subject", "A text needs a subject.")
	case m.Text == nil:
		add("/text", "A subject needs a text.")
	}
	if m.Template == nil && m.Data != nil {
		add("/data", "Only a template takes data.")
	}
	return wrong
}

// checkRecipients says which addresses no mail can go to. The contract has seen to it that each has an address or a user.
func checkRecipients(recipients []api.NewRecipient) []problem.Field {
	var wrong []problem.Field
	for i, r := range recipients {
		if r.Address != nil && !validAddress(*r.Address) {
			wrong = append(wrong, problem.Field{Pointer: fmt.Sprintf("/recipients/%d/address", i), Detail: "This is not a mail address."})
		}
	}
	return wrong
}

// validAddress takes a bare address, nothing that a header could be smuggled in with.
func validAddress(address string) bool {
	if len(address) > 254 || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
		return false
	}
	parsed, err := mail.ParseAddress(address)
	return err == nil && parsed.Address == address && parsed.Name == ""
}

// checkAttachments bounds what the contract cannot: all of them together.
func checkAttachments(attachments *[]api.Attachment) []problem.Field {
	if attachments == nil {
		return nil
	}
	size := 0
	for _, a := range *attachments {
		size += len(a.Content)
	}
	if size > maxAttachments {
		return []problem.Field{{Pointer: "/attachments", Detail: fmt.Sprintf("Together they may have at most %d bytes.", maxAttachments)}}
	}
	return nil
}

// oneLine makes text fit for a header: no control characters, so no second header.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
}

// throttle says how long a mail must wait, given how many its address got in the window, and since when.
func throttle(urgent bool, count int64, first, now time.Time) time.Duration {
	limit := int64(throttleLimit)
	if urgent {
		limit = urgentLimit
	}
	if count < limit {
		return 0
	}
	return max(first.Add(throttleWindow).Sub(now), time.Second)
}

// retryDelay doubles from try to try, with up to a quarter more so that mails held up together do not come back together.
func retryDelay(tries int) time.Duration {
	delay := longestDelay
	if tries < 12 {
		delay = min(firstDelay<<max(tries-1, 0), longestDelay)
	}
	return delay + rand.N(delay/4)
}

// statusOf sums up what became of the mails of one message.
func statusOf(deliveries []store.Delivery) api.DeliveryStatus {
	status := api.Sent
	for _, d := range deliveries {
		switch d.Status {
		case store.DeliveryStatusQueued:
			return api.Queued
		case store.DeliveryStatusFailed:
			status = api.Failed
		}
	}
	return status
}
