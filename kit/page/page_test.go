package page_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/page"
	"github.com/healthe/healthe/openapi/problem"
)

type key struct {
	Name string
	ID   int
}

func TestCursor(t *testing.T) {
	t.Parallel()

	rows := []key{{"a", 1}, {"b", 2}, {"c", 3}}
	got, next := page.Cut(rows, 2, func(k key) key { return k })
	require.Equal(t, rows[:2], got)
	after, err := page.Decode[key](next)
	require.NoError(t, err)
	require.Equal(t, key{"b", 2}, after)

	got, next = page.Cut(rows, 3, func(k key) key { return k })
	require.Equal(t, rows, got)
	require.Nil(t, next)

	first, err := page.Decode[key](nil)
	require.NoError(t, err)
	require.Zero(t, first)
}

func TestDecodeRefusesNUL(t *testing.T) {
	t.Parallel()

	for text, refused := range map[string]bool{`{"Name":"\u0000"}`: true, `{"Name":"\\\u0000"}`: true, `{"Name":"\\u0000"}`: false} {
		_, err := page.Decode[key](new(base64.RawURLEncoding.EncodeToString([]byte(text))))
		require.Equal(t, refused, err != nil, text)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("")
	f.Add("e30")
	f.Add("!!!")
	f.Add("bnVsbA")
	f.Fuzz(func(t *testing.T, cursor string) {
		if _, err := page.Decode[key](&cursor); err != nil {
			require.ErrorIs(t, err, problem.Invalid())
		}
	})
}
