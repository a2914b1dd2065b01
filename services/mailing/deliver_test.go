package mailing

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/config"
	api "github.com/healthe/healthe/openapi/mailing"
)

func TestDeliver(t *testing.T) {
	t.Parallel()

	t.Run("waits for a mail server that is down, then sends once", func(t *testing.T) { // MAIL-2
		t.Parallel()

		b := newBench(t)
		b.smtp.down()
		b.work()
		id := b.send(plain("ada@example.org")).ID
		require.Eventually(t, func() bool { return b.look(id).Recipients[0].Tries >= 2 }, 20*time.Second, 20*time.Millisecond)
		require.Equal(t, api.Queued, b.look(id).Status)
		b.smtp.up(t)
		b.await(id, api.Sent)
		require.Len(t, b.smtp.received(), 1)
	})

	t.Run("tries again when the server says later", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.smtp.says("RCPT", "450 mailbox busy", "")
		id := b.work().send(plain("ada@example.org")).ID
		require.Equal(t, 2, b.await(id, api.Sent).Recipients[0].Tries)
		require.Len(t, b.smtp.received(), 1)
	})

	for _, command := range []string{"MAIL", "RCPT", "DATA", "END"} {
		t.Run("gives up when the server says never to "+command, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.smtp.says(command, "550 no such mailbox ada@example.org")
			got := b.await(b.work().send(plain("ada@example.org")).ID, api.Failed)
			require.Equal(t, api.Refused, *got.Recipients[0].Failure)
			require.Equal(t, 1, got.Recipients[0].Tries)
			require.Nil(t, got.Recipients[0].SentAt)
		})
	}

	t.Run("gives up at last", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.smtp.says("RCPT", "450 mailbox busy")
		id := b.send(plain("ada@example.org")).ID
		b.exec("UPDATE river_job SET max_attempts = 2")
		require.Equal(t, api.GaveUp, *b.work().await(id, api.Failed).Recipients[0].Failure)
	})

	t.Run("counts a mail as sent whatever fails after the server took it", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.smtp.says("RSET", "421 closing")
		b.await(b.work().send(plain("ada@example.org")).ID, api.Sent)
		require.Len(t, b.smtp.received(), 1)
	})

	t.Run("sends again when it cannot know, under the same Message-ID", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.smtp.says("END", "250 taken, and drop", "")
		b.await(b.work().send(plain("ada@example.org")).ID, api.Sent)
		mails := b.smtp.received()
		require.Len(t, mails, 2)
		require.NotEmpty(t, mails[0].header(t, "Message-ID"))
		require.Equal(t, mails[0].header(t, "Message-ID"), mails[1].header(t, "Message-ID"))
		require.Equal(t, mails[0].header(t, "Date"), mails[1].header(t, "Date"))
	})

	t.Run("sends once what its process was at when it died", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		id := b.send(plain("ada@example.org")).ID
		// As a process leaves it that was killed before the server took the mail.
		b.exec("UPDATE river_job SET state = 'running', attempt = 1, attempted_by = '{dead}', attempted_at = now() - interval '10 minutes'")
		b.exec("UPDATE deliveries SET tries = 1, attempted_at = now(), address = 'ada@example.org'")
		b.work() // River looks for such jobs as soon as it leads
		b.await(id, api.Sent)
		require.Len(t, b.smtp.received(), 1)
	})
}

func TestDeliverToUser(t *testing.T) {
	t.Parallel()

	user := func(id uuid.UUID) api.NewMessage {
		return api.NewMessage{Subject: new("a"), Text: new("b"), Recipients: []api.NewRecipient{{UserID: &id}}}
	}

	t.Run("fails at once for a user that there is not", func(t *testing.T) {
		t.Parallel()

		b := newBench(t).work()
		got := b.await(b.send(user(uuid.New())).ID, api.Failed)
		require.Equal(t, api.UnknownRecipient, *got.Recipients[0].Failure)
		require.EqualValues(t, 1, b.auth.asked.Load())
	})

	t.Run("does not write to an address that was never confirmed", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.auth.verified = false
		got := b.work().await(b.send(user(b.auth.known)).ID, api.Failed)
		require.Equal(t, api.UnverifiedRecipient, *got.Recipients[0].Failure)
		require.Empty(t, b.smtp.received())
	})

	t.Run("waits for auth", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.auth.down.Store(true)
		id := b.work().send(user(b.auth.known)).ID
		require.Eventually(t, func() bool { return b.auth.asked.Load() >= 3 }, 20*time.Second, 10*time.Millisecond)
		require.Equal(t, api.Queued, b.look(id).Status)
		b.auth.down.Store(false)
		b.await(id, api.Sent)
	})
}

func TestThrottlePerRecipient(t *testing.T) { // MAIL-3
	t.Parallel()

	b := newBench(t)
	for range throttleLimit + 3 {
		b.send(plain("Ada@example.org"))
	}
	other := b.send(plain("bob@example.org"))
	b.work()
	b.await(other.ID, api.Sent)
	sent := func() int { return b.count("SELECT count(*) FROM deliveries WHERE status = 'sent'") }
	require.Eventually(t, func() bool { return sent() == throttleLimit+1 }, 20*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		return b.count("SELECT count(*) FROM river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '50 minutes'") == 3
	}, 20*time.Second, 20*time.Millisecond, "the rest waits, and is not dropped")
	require.Zero(t, b.count("SELECT count(*) FROM deliveries WHERE status = 'failed'"))

	code := b.courier("ada@EXAMPLE.org", "424242")
	require.Equal(t, api.Sent, b.await(code.JSON202.ID, api.Sent).Status, "a code goes before")
}

func TestSecureDelivery(t *testing.T) {
	t.Parallel()

	send := func(t *testing.T, login, query string, secure bool) ([]received, error) {
		t.Helper()
		smtp := newSMTPServer(t)
		trust := smtp.secure(t)
		if smtp.login = "user:pass"; !secure {
			smtp.tls, smtp.login = nil, ""
		}
		url := strings.Replace(smtp.url(query), "smtp://", "smtp://"+login, 1)
		out, err := newSender(config.Secret(url), "no-reply@healthe.example", trust)
		require.NoError(t, err)
		e := envelope{id: uuid.New(), date: time.Now(), content: content{Subject: "a", Text: "b"}}
		e.to.Address = "ada@example.org"
		err = out.send(t.Context(), e)
		return smtp.received(), err
	}

	t.Run("uses STARTTLS and logs in", func(t *testing.T) {
		t.Parallel()

		mails, err := send(t, "user:pass@", "?tls=require", true)
		require.NoError(t, err)
		require.Len(t, mails, 1)
		require.True(t, mails[0].encrypted)
		require.Equal(t, "user", mails[0].user)
	})

	t.Run("uses STARTTLS where it is offered", func(t *testing.T) {
		t.Parallel()

		mails, err := send(t, "", "", true)
		require.NoError(t, err)
		require.True(t, mails[0].encrypted)
	})

	t.Run("does not go without where it is required", func(t *testing.T) {
		t.Parallel()

		mails, err := send(t, "", "?tls=require", false)
		require.Error(t, err)
		require.NotErrorIs(t, err, errRefused, "an operator can mend it")
		require.Empty(t, mails)
	})

	t.Run("never logs in over an open line", func(t *testing.T) {
		t.Parallel()

		mails, err := send(t, "user:pass@", "?tls=none", false)
		require.Error(t, err)
		require.Empty(t, mails)
	})

	t.Run("tries again with a password that is not taken", func(t *testing.T) {
		t.Parallel()

		_, err := send(t, "user:wrong@", "?tls=require", true)
		require.Error(t, err)
		require.NotErrorIs(t, err, errRefused)
		require.NotContains(t, err.Error(), "wrong@")
	})
}

func TestNewSenderRefusesBadSettings(t *testing.T) {
	t.Parallel()

	for _, url := range []config.Secret{"", "http://host", "smtp://", "smtp://host?tls=maybe", "smtp://host:port"} {
		_, err := newSender(url, "a@example.org", nil)
		require.Error(t, err, url.Reveal())
	}
	for _, from := range []string{"", "nobody", "a@example.org\r\nBcc: b@example.org"} {
		_, err := newSender("smtp://host", from, nil)
		require.Error(t, err, from)
	}
	require.True(t, encrypted("smtps://host"))
	require.True(t, encrypted("smtp://host?tls=require"))
	require.False(t, encrypted("smtp://host"), "only where the server offers it")
}

func TestTidy(t *testing.T) {
	t.Parallel()

	b := newBench(t).work()
	id := b.send(plain("ada@example.org")).ID
	b.await(id, api.Sent)
	tidy := func(later time.Duration) {
		t.Helper()
		worker := &tidier{store: b.s.store, now: func() time.Time { return time.Now().Add(later) }}
		require.NoError(t, worker.Work(t.Context(), &river.Job[tidyJob]{}))
	}
	tidy(keepAddresses - time.Hour)
	require.Equal(t, 1, b.count("SELECT count(*) FROM deliveries WHERE address IS NOT NULL"))
	tidy(keepAddresses + time.Hour)
	require.Zero(t, b.count("SELECT count(*) FROM deliveries WHERE address IS NOT NULL"))
	require.Equal(t, api.Sent, b.look(id).Status, "what became of it is still known")
	tidy(keepMessages + time.Hour)
	require.Zero(t, b.count("SELECT count(*) FROM messages"))

	lost := b.send(api.NewMessage{Subject: new("a"), Text: new("b"), Recipients: to("bob@example.org")})
	b.exec("UPDATE deliveries SET status = 'queued', ended_at = NULL, failure = NULL WHERE message_id = $1", lost.ID)
	b.exec("DELETE FROM river_job WHERE state <> 'running'")
	tidy(keepQueued + time.Hour)
	require.Zero(t, b.count("SELECT count(*) FROM deliveries WHERE status = 'queued'"))
	require.Zero(t, b.count("SELECT count(*) FROM messages WHERE body IS NOT NULL"))
}

// MAIL-5, X-6: what is logged of a mail names no one and says nothing of what is in it.
func TestLogsHoldNothingPersonal(t *testing.T) { //nolint:paralleltest // looks at the process' log
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })

	b := newBench(t)
	b.smtp.says("RCPT", "450 ada@example.org is busy", "550 ada@example.org is gone")
	b.await(b.work().send(plain("ada@example.org")).ID, api.Failed)
	resp, err := b.SendMessageWithResponse(t.Context(), nil, plain("not an address ada@"), b.as("appointment", "mail:send"))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode())
	require.NoError(t, b.s.jobs.StopAndCancel(t.Context()))

	require.Contains(t, log.String(), "mail failed")
	for _, secret := range []string{"ada@", "Greetings", "Hello there"} {
		require.NotContains(t, log.String(), secret)
	}
}
