package mailing

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/mailing"
)

func TestSendMessage(t *testing.T) {
	t.Parallel()

	t.Run("sends a template to a user, with an attachment", func(t *testing.T) {
		t.Parallel()

		b := newBench(t).work()
		calendar := "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
		sent := b.send(api.NewMessage{
			Template:    new("appointment_booked"),
			Data:        &map[string]string{"doctor": "Dr. Noor Haddad", "clinic": "City Clinic", "starts_at": "Monday, 09:30", "url": "https://healthe.example/a"},
			Recipients:  []api.NewRecipient{{UserID: &b.auth.known}},
			Attachments: &[]api.Attachment{{Name: "appointment.ics", ContentType: api.TextCalendar, Content: []byte(calendar)}},
		})
		require.Equal(t, api.Queued, sent.Status) // MAIL-2: accepted is not sent
		got := b.await(sent.ID, api.Sent)
		require.Equal(t, 1, got.Recipients[0].Tries)
		require.NotNil(t, got.Recipients[0].SentAt)

		mails := b.smtp.received()
		require.Len(t, mails, 1)
		require.Equal(t, "ada@example.org", mails[0].to)
		require.Equal(t, "Your appointment is booked", mails[0].header(t, "Subject"))
		parts := mails[0].parts(t)
		require.Contains(t, parts["text/plain"], "Dr. Noor Haddad")
		require.Contains(t, parts["text/html"], "City Clinic")
		require.Equal(t, calendar, parts["appointment.ics"])
		require.Empty(t, mails[0].header(t, "Bcc"), "MAIL-3: a name brings no header")
		require.Equal(t, "auto-generated", mails[0].header(t, "Auto-Submitted"))
	})

	t.Run("sends everyone a mail of their own", func(t *testing.T) {
		t.Parallel()

		b := newBench(t).work()
		b.await(b.send(plain("ada@example.org", "bob@example.org")).ID, api.Sent)
		for _, mail := range b.smtp.received() {
			require.Equal(t, "<"+mail.to+">", mail.header(t, "To"))
		}
		require.Len(t, b.smtp.received(), 2)
	})

	t.Run("erases what the mail said once it is sent", func(t *testing.T) {
		t.Parallel()

		b := newBench(t).work()
		m := plain("ada@example.org")
		m.Attachments = &[]api.Attachment{{Name: "a.txt", ContentType: api.TextPlain, Content: []byte("hello")}}
		b.await(b.send(m).ID, api.Sent)
		require.Zero(t, b.count("SELECT count(*) FROM messages WHERE subject IS NOT NULL OR body IS NOT NULL OR data IS NOT NULL"))
		require.Zero(t, b.count("SELECT count(*) FROM attachments"))
	})

	t.Run("is for services and admins only", func(t *testing.T) { // MAIL-1
		t.Parallel()

		b := newBench(t)
		resp, err := b.SendMessageWithResponse(t.Context(), nil, plain("ada@example.org"))
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode())
		resp, err = b.SendMessageWithResponse(t.Context(), nil, plain("ada@example.org"), b.as(uuid.NewString(), "account:read", "mail:read"))
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, resp.StatusCode())
		require.Zero(t, b.count("SELECT count(*) FROM messages"))
	})

	t.Run("accepts one key once, however often it comes", func(t *testing.T) { // MAIL-2
		t.Parallel()

		b := newBench(t).work()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				resp, err := b.SendMessageWithResponse(t.Context(), &api.SendMessageParams{IdempotencyKey: new("one")}, plain("ada@example.org"), b.as("appointment", "mail:send"))
				if err != nil || (resp.StatusCode() != http.StatusAccepted && resp.StatusCode() != http.StatusConflict) {
					t.Errorf("got %v, %v", resp.StatusCode(), err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, b.count("SELECT count(*) FROM messages"))
		other, err := b.SendMessageWithResponse(t.Context(), &api.SendMessageParams{IdempotencyKey: new("one")}, plain("bob@example.org"), b.as("appointment", "mail:send"))
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, other.StatusCode())
		fresh, err := b.SendMessageWithResponse(t.Context(), &api.SendMessageParams{IdempotencyKey: new("one")}, plain("bob@example.org"), b.as("auth", "mail:send"))
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, fresh.StatusCode(), "keys are per caller")
		b.await(fresh.JSON202.ID, api.Sent)
		require.Equal(t, fresh.Headers202.Location, new("/mailing/v1/messages/"+fresh.JSON202.ID.String()))
	})
}

func TestSendMessageRefuses(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	body := func(s string) string {
		return strings.ReplaceAll(s, "TO", `"recipients": [{"address": "ada@example.org"}]`)
	}
	tests := map[string]struct {
		body string
		want string
	}{
		"an unknown template":                {body(`{"template": "nonsense", TO}`), "/template"},
		"a template without its data":        {body(`{"template": "verification_code", TO}`), "/data/code"},
		"neither template nor text":          {body(`{TO}`), "/template"},
		"a header in the subject":            {body(`{"subject": "a\r\nBcc: b@example.org", "text": "x", TO}`), "/subject"},
		"a header in an address":             {`{"subject": "a", "text": "x", "recipients": [{"address": "a@example.org\r\nBcc: b@example.org"}]}`, "/recipients/0/address"},
		"a name in an address":               {`{"subject": "a", "text": "x", "recipients": [{"address": "Ada<a@example.org>"}]}`, "/recipients/0/address"},
		"two addresses in one":               {`{"subject": "a", "text": "x", "recipients": [{"address": "a@example.org,b@example.org"}]}`, "/recipients/0/address"},
		"an address that is none":            {`{"subject": "a", "text": "x", "recipients": [{"address": ".@.."}]}`, "/recipients/0/address"},
		"nobody":                             {`{"subject": "a", "text": "x", "recipients": []}`, "/recipients"},
		"a recipient that is nobody":         {`{"subject": "a", "text": "x", "recipients": [{}]}`, "/recipients/0"},
		"a user that is no identifier":       {`{"subject": "a", "text": "x", "recipients": [{"user_id": "me"}]}`, "/recipients/0/user_id"},
		"an attachment that is no base64":    {body(`{"subject": "a", "text": "x", "attachments": [{"name": "a.ics", "content_type": "text/calendar", "content": "aGVsbG8"}], TO}`), "/attachments/0/content"},
		"data that comes twice":              {body(`{"template": "verification_code", "data": {"code": "1"}, "data": {}, TO}`), "/data"},
		"an attachment outside its folder":   {body(`{"subject": "a", "text": "x", "attachments": [{"name": "../a.ics", "content_type": "text/calendar", "content": "aGVsbG8="}], TO}`), "/attachments/0/name"},
		"an attachment with a header":        {body(`{"subject": "a", "text": "x", "attachments": [{"name": "a\r\n.ics", "content_type": "text/calendar", "content": "aGVsbG8="}], TO}`), "/attachments/0/name"},
		"an attachment that could run":       {body(`{"subject": "a", "text": "x", "attachments": [{"name": "a.html", "content_type": "text/html", "content": "aGVsbG8="}], TO}`), "/attachments/0/content_type"},
		"attachments that are too much":      {body(`{"subject": "a", "text": "x", "attachments": [BIG, BIG, BIG], TO}`), "/attachments"},
		"a property that there is not":       {body(`{"subject": "a", "text": "x", "bcc": "b@example.org", TO}`), "/bcc"},
		"data that is not text":              {body(`{"template": "verification_code", "data": {"code": 1}, TO}`), "/data/code"},
		"a body that is no object":           {`[]`, ""},
		"a text beyond all measure":          {body(`{"subject": "a", "text": "LONG", TO}`), "/text"},
		"a NUL that no database column has":  {body(`{"subject": "a", "text": "a\u0000b", TO}`), ""},
		"a template that is also a way out":  {body(`{"template": "../layout", TO}`), "/template"},
		"a template and a text in one mail":  {body(`{"template": "unknown_account", "text": "x", TO}`), "/text"},
		"content that is not base64":         {body(`{"subject": "a", "text": "x", "attachments": [{"name": "a.ics", "content_type": "text/calendar", "content": "%%%%"}], TO}`), "/attachments/0/content"},
		"an address with only control codes": {`{"subject": "a", "text": "x", "recipients": [{"address": "\u0001\u0002\u0003"}]}`, "/recipients/0/address"},
	}
	big := `{"name": "a.pdf", "content_type": "application/pdf", "content": "` + strings.Repeat("AAAA", 300_000) + `"}`
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			text := strings.NewReplacer("BIG", big, "LONG", strings.Repeat("a", 50_001)).Replace(tt.body)
			resp, err := b.SendMessageWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(text), b.as("appointment", "mail:send"))
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode(), string(resp.Body))
			found := false
			for _, pointer := range pointers(resp.ApplicationProblemJSON400) {
				found = found || pointer == tt.want || strings.HasPrefix(pointer, tt.want+"/")
			}
			require.True(t, found, string(resp.Body))
		})
	}

	t.Run("a body over the operation's limit", func(t *testing.T) {
		t.Parallel()

		resp, err := b.SendMessageWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader(`{"text": "`+strings.Repeat("a", 4<<20)+`"}`), b.as("appointment", "mail:send"))
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode())
	})
}

func TestListMessages(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	var ids []uuid.UUID
	for range 5 {
		ids = append(ids, b.send(plain("ada@example.org")).ID)
	}
	list := func(limit int, cursor *string, editor api.RequestEditorFn) *api.ListMessagesResponse {
		resp, err := b.ListMessagesWithResponse(t.Context(), &api.ListMessagesParams{Limit: &limit, Cursor: cursor}, editor)
		require.NoError(t, err)
		return resp
	}

	t.Run("pages through all, newest first", func(t *testing.T) {
		t.Parallel()

		var got []uuid.UUID
		var cursor *string
		for {
			page := list(2, cursor, b.as("an admin", "mail:read"))
			for _, m := range page.JSON200.Items {
				got = append([]uuid.UUID{m.ID}, got...)
				require.Len(t, m.Recipients, 1)
			}
			if cursor = page.JSON200.NextCursor; cursor == nil {
				require.Nil(t, page.Headers200.Link)
				break
			}
			require.Contains(t, *page.Headers200.Link, `rel="next"`)
		}
		require.Equal(t, ids, got)
	})

	t.Run("shows a sender their own only", func(t *testing.T) {
		t.Parallel()

		require.Len(t, list(10, nil, b.as("appointment", "mail:send")).JSON200.Items, 5)
		require.Empty(t, list(10, nil, b.as("auth", "mail:send")).JSON200.Items)
		require.Equal(t, http.StatusForbidden, list(10, nil, b.as(uuid.NewString(), "account:read")).StatusCode())
	})

	t.Run("refuses a cursor that no page gave", func(t *testing.T) {
		t.Parallel()

		require.Equal(t, []string{"/query/cursor"}, pointers(list(10, new("nonsense"), b.as("an admin", "mail:read")).ApplicationProblemJSON400))
	})

	t.Run("never shows an address", func(t *testing.T) {
		t.Parallel()

		require.NotContains(t, string(list(10, nil, b.as("an admin", "mail:read")).Body), "ada@")
	})
}

func TestGetMessage(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	id := b.send(plain("ada@example.org")).ID
	status := func(id uuid.UUID, editor api.RequestEditorFn) int {
		resp, err := b.GetMessageWithResponse(t.Context(), id, editor)
		require.NoError(t, err)
		return resp.StatusCode()
	}
	require.Equal(t, http.StatusOK, status(id, b.as("appointment", "mail:send")))
	require.Equal(t, http.StatusOK, status(id, b.as("an admin", "mail:read")))
	require.Equal(t, http.StatusNotFound, status(id, b.as("auth", "mail:send")), "another's")
	require.Equal(t, http.StatusNotFound, status(uuid.New(), b.as("an admin", "mail:read")))
	require.Equal(t, http.StatusForbidden, status(id, b.as(uuid.NewString(), "account:read")))
	require.Equal(t, http.StatusUnauthorized, status(id, func(context.Context, *http.Request) error { return nil }))
}
