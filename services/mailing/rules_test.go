package mailing

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

// MAIL-3: no address or name can bring a header of its own.
func TestValidAddress(t *testing.T) {
	t.Parallel()

	for _, good := range []string{"ada@example.org", "a.b+c@sub.example.org", "o'neil@example.org"} {
		require.True(t, validAddress(good), good)
	}
	for _, bad := range []string{
		"", "ada", "ada@", "@example.org", "ada@example.org\r\nBcc: all@example.org", "ada@example.org\n", "Ada <ada@example.org>",
		"ada@example.org, bob@example.org", "ada @example.org", "ada@example.org\x00", "ädä@example.org", "\"a\r\nb\"@example.org",
		strings.Repeat("a", 250) + "@example.org", "<ada@example.org>",
	} {
		require.False(t, validAddress(bad), "%q", bad)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()

	require.Equal(t, "Ada Bcc: all@example.org", oneLine("Ada\r\nBcc: all@example.org\x00"))
	require.Equal(t, "Ada", oneLine(" Ada\t\n"))
	require.Empty(t, oneLine("\r\n"))
}

func TestThrottle(t *testing.T) {
	t.Parallel()

	now := time.Date(2030, 5, 2, 9, 0, 0, 0, time.UTC)
	first := now.Add(-40 * time.Minute)
	require.Zero(t, throttle(false, throttleLimit-1, first, now))
	require.Equal(t, 20*time.Minute, throttle(false, throttleLimit, first, now), "until the first leaves the window")
	require.Zero(t, throttle(true, throttleLimit, first, now), "a code goes before")
	require.Equal(t, 20*time.Minute, throttle(true, urgentLimit, first, now), "but not without end")
	require.Equal(t, time.Second, throttle(false, throttleLimit, now.Add(-2*time.Hour), now), "never a wait of nothing")
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()

	for tries, least := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 12: longestDelay, 1000: longestDelay} {
		delay := retryDelay(tries)
		require.GreaterOrEqual(t, delay, least, tries)
		require.Less(t, delay, least+least/4+1, tries)
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()

	sent, failed, queued := store.Delivery{Status: "sent"}, store.Delivery{Status: "failed"}, store.Delivery{Status: "queued"}
	require.Equal(t, api.Sent, statusOf([]store.Delivery{sent, sent}))
	require.Equal(t, api.Failed, statusOf([]store.Delivery{failed, sent}))
	require.Equal(t, api.Queued, statusOf([]store.Delivery{failed, sent, queued}))
}

func TestCheckContent(t *testing.T) {
	t.Parallel()

	some, data := "x", map[string]string{}
	tests := map[string]struct {
		message api.NewMessage
		want    []string
	}{
		"a template":                       {api.NewMessage{Template: &some, Data: &data}, nil},
		"a subject and a text":             {api.NewMessage{Subject: &some, Text: &some}, nil},
		"nothing":                          {api.NewMessage{}, []string{"/template"}},
		"a subject alone":                  {api.NewMessage{Subject: &some}, []string{"/text"}},
		"a text alone":                     {api.NewMessage{Text: &some}, []string{"/subject"}},
		"a template and a subject":         {api.NewMessage{Template: &some, Subject: &some, Text: &some}, []string{"/subject", "/text"}},
		"data that no template asks about": {api.NewMessage{Subject: &some, Text: &some, Data: &data}, []string{"/data"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var got []string
			for _, field := range checkContent(tt.message) {
				got = append(got, field.Pointer)
			}
			require.Equal(t, tt.want, got)
		})
	}
}
