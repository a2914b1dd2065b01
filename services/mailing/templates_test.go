package mailing

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// MAIL-4: every mail has a template with a text and an HTML part, and each says the same.
func TestLetters(t *testing.T) {
	t.Parallel()

	all, err := loadLetters()
	require.NoError(t, err)
	// MAIL-6: there is a mail for each of these.
	for _, name := range []string{
		"verification_code", "recovery_code", "unknown_account", "signup_attempt", "email_change",
		"role_requested", "role_approved", "role_refused", "role_revoked",
		"appointment_booked", "appointment_changed", "appointment_cancelled", "appointment_reminder", "doctor_notice", "waitlist_offer",
		"forum_reply", "operation_failed", "operation_succeeded",
	} {
		require.Contains(t, all, name)
	}
	for name, letter := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			data := map[string]string{recipientName: "Ada"}
			for _, key := range letter.required {
				data[key] = "<" + key + ">"
			}
			data["url"] = "https://healthe.example/?a=1&b=2"
			got, err := all.render(name, data)
			require.NoError(t, err)
			require.NotEmpty(t, got.Subject)
			require.Contains(t, got.Text, "Hello Ada,")
			require.Contains(t, got.HTML, "Hello Ada,")
			for _, key := range letter.required {
				if key == "url" {
					continue
				}
				require.Contains(t, got.Text, "<"+key+">")
				require.Contains(t, got.HTML, "&lt;"+key+"&gt;", "HTML is escaped")
				require.NotContains(t, got.HTML, "<"+key+">")
			}
			require.NotContains(t, got.Text+got.HTML, "no value")
			require.Contains(t, got.HTML, `lang="en"`)
			require.False(t, strings.Contains(got.HTML, "<img") || strings.Contains(got.HTML, "http-equiv"), "nothing is fetched, nothing tracks")
		})
	}
}

func TestTemplatesAreDocumented(t *testing.T) {
	t.Parallel()

	all, err := loadLetters()
	require.NoError(t, err)
	text, err := os.ReadFile("templates/README.md")
	require.NoError(t, err)
	documented := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			for name := range strings.SplitSeq(cells[1], ",") {
				documented[strings.TrimSpace(name)] = cells[2]
			}
		}
	}
	for name, letter := range all {
		require.Contains(t, documented, name)
		var keys []string
		for key := range strings.SplitSeq(documented[name], ",") {
			if key = strings.TrimSpace(key); key != "" {
				keys = append(keys, key)
			}
		}
		require.ElementsMatch(t, letter.required, keys, name)
	}
}

func TestLettersCheck(t *testing.T) {
	t.Parallel()

	all, err := loadLetters()
	require.NoError(t, err)
	require.Empty(t, all.check("verification_code", map[string]string{"code": "123456"}))
	require.Equal(t, "/data/code", all.check("verification_code", nil)[0].Pointer)
	require.Equal(t, "/data/code", all.check("verification_code", map[string]string{"code": ""})[0].Pointer)
	require.Equal(t, "/template", all.check("nonsense", nil)[0].Pointer)
	require.Equal(t, "/template", all.check("layout", nil)[0].Pointer)

	_, err = all.render("verification_code", map[string]string{recipientName: ""})
	require.Error(t, err, "a missing value never becomes an empty place")
}

func TestRenderRefusesHeadersInTheSubject(t *testing.T) {
	t.Parallel()

	all, err := loadLetters()
	require.NoError(t, err)
	data := map[string]string{"event": "moved\r\nBcc: all@example.org", "starts_at": "soon", "clinic": "City", recipientName: ""}
	got, err := all.render("doctor_notice", data)
	require.NoError(t, err)
	require.Equal(t, "Your schedule: moved Bcc: all@example.org", got.Subject)
}

func TestRenderNeutralisesLinks(t *testing.T) {
	t.Parallel()

	all, err := loadLetters()
	require.NoError(t, err)
	got, err := all.render("role_requested", map[string]string{"role": "doctor", "url": "javascript:alert(1)", recipientName: ""})
	require.NoError(t, err)
	require.NotContains(t, got.HTML, "javascript:")
}
