package etag_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/openapi/problem"
)

func TestVersion(t *testing.T) {
	t.Parallel()

	for _, none := range []*string{nil, new("*")} {
		got, err := etag.Version(none)
		require.NoError(t, err)
		require.Nil(t, got)
	}
	got, err := etag.Version(new(etag.Of(7)))
	require.NoError(t, err)
	require.EqualValues(t, 7, *got)
	for _, foreign := range []string{`"v"`, `"abc"`, `v7`, `W/"v7"`, `"v99999999999"`, `"v7`} {
		_, err := etag.Version(&foreign)
		require.ErrorIs(t, err, problem.PreconditionFailed(), foreign)
	}
}
