package auth

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/store"
)

func TestWeakness(t *testing.T) {
	t.Parallel()

	about := []string{"lovelace", "ada.byron@example.org", "Ada Lovelace"}
	for name, password := range map[string]string{
		"too short":                   "aB3$xyz",
		"longer than bcrypt reads":    "correct horse battery staple, correct horse battery staple, correct horse",
		"few characters":              "aabbaabbaabb",
		"a row of digits":             "1234567890123",
		"a row of keys":               "qwertyuiop",
		"a row backwards":             "0987654321",
		"the alphabet":                "abcdefghijklmnop",
		"common":                      "passwordpassword",
		"common with digits":          "Sunshine2026",
		"common in disguise":          "P@ssw0rd2026!",
		"common with signs around it": "!!monkey!!123",
		"a date":                      "12.10.1815!",
		"our own name":                "healthe-2026",
		"the username":                "lovelace2026x",
		"the username backwards":      "ecalevol.77",
		"the address":                 "byron-1815-x",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()

			require.NotEmpty(t, weakness(password, about), password)
			err := checkPassword(password, "/password", about...)
			require.ErrorIs(t, err, weakPassword)
			require.NotContains(t, err.Error(), password)
		})
	}
	for _, password := range []string{goodPassword, otherPassword, "correct horse battery staple", "Grüße aus dem Süden 12", "一二三四五六七八九十路", "x7#kQ2!pLm9z"} {
		t.Run("takes "+password, func(t *testing.T) {
			t.Parallel()

			require.Empty(t, weakness(password, about))
		})
	}
}

func TestCheckDecide(t *testing.T) {
	t.Parallel()

	user, reviewer := uuid.New(), uuid.NewString()
	open := store.RoleRequest{UserID: user, Status: store.RoleRequestStatusOpen, Version: 1}
	decided := open
	decided.Status = store.RoleRequestStatusApproved
	for name, c := range map[string]struct {
		request  store.RoleRequest
		reviewer string
		version  *int32
		want     error
	}{
		"decides an open one":         {open, reviewer, nil, nil},
		"decides the version it read": {open, reviewer, new(int32(1)), nil},
		"refuses another version":     {open, reviewer, new(int32(2)), problem.PreconditionFailed()},
		"refuses a decided one":       {decided, reviewer, nil, errDecided},
		"refuses the own one":         {open, user.String(), nil, errOwn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.ErrorIs(t, checkDecide(c.request, c.reviewer, c.version), c.want)
		})
	}
}

func TestCheckExtend(t *testing.T) { // AUTH-4
	t.Parallel()

	now := time.Now()
	require.NoError(t, checkExtend(now.Add(-29*24*time.Hour), now))
	require.ErrorIs(t, checkExtend(now.Add(-31*24*time.Hour), now), errTooOld)
}

func TestSenderOf(t *testing.T) {
	t.Parallel()

	for forwarded, want := range map[string]string{
		"":                        "192.0.2.1", // httptest's
		"203.0.113.9":             "203.0.113.9",
		"203.0.113.9, 10.0.0.1":   "203.0.113.9",
		"::ffff:203.0.113.9":      "203.0.113.9",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"fe80::1%eth0":            "fe80::/64",
		"'; DROP TABLE attempts;": "unknown",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		require.Equal(t, want, senderOf(r))
	}
}
