package forum

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/problem"
)

func TestCheckPersonalData(t *testing.T) {
	t.Parallel()

	require.NoError(t, checkPersonalData(nil))
	require.NoError(t, checkPersonalData(map[string]string{"/title": "Blood pressure", "/body": "It was 120/80 on 2024-03-01."}))

	err := checkPersonalData(map[string]string{"/title": "Write to ada@example.org", "/body": "or eva@example.org, or 0170 1234567"})
	require.ErrorIs(t, err, errPersonalData)
	p, _ := errors.AsType[*problem.Problem](err)
	require.Equal(t, []problem.Field{
		{Pointer: "/body", Detail: "This looks like an e-mail address."},
		{Pointer: "/body", Detail: "This looks like a telephone number."},
		{Pointer: "/title", Detail: "This looks like an e-mail address."},
	}, p.Errors)
	require.Empty(t, errPersonalData.Errors, "each has findings of its own")
}

func FuzzCheckPersonalData(f *testing.F) {
	f.Add("Write to ada@example.org", "or 0170 1234567")
	f.Add("DE89 3704 0044 0532 0130 00", "passport C01X00T47")
	f.Fuzz(func(t *testing.T, title, body string) {
		err := checkPersonalData(map[string]string{"/title": title, "/body": body})
		if err == nil {
			return
		}
		p, _ := errors.AsType[*problem.Problem](err)
		require.NotNil(t, p)
		require.NotEmpty(t, p.Errors)
		for _, e := range p.Errors { // nothing of the text is in it
			require.Contains(t, []string{"/title", "/body"}, e.Pointer)
			require.Contains(t, slices.Collect(maps.Values(looksLike)), e.Detail)
		}
		bare := *p
		bare.Errors = nil
		said, err := json.Marshal(bare)
		require.NoError(t, err)
		always, err := json.Marshal(errPersonalData)
		require.NoError(t, err)
		require.Equal(t, string(always), string(said))
		require.Equal(t, errPersonalData.Error(), p.Error(), "nor in the log")
	})
}
