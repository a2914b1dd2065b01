package keys

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/services/auth/internal/seal"
	"github.com/healthe/healthe/services/auth/internal/store"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func newRing(t *testing.T, q *store.Queries, secret config.Secret) (*Ring, error) {
	t.Helper()
	box, err := seal.New(secret)
	require.NoError(t, err)
	return Open(t.Context(), q, box)
}

// signer returns the key that signs at now.
func signer(t *testing.T, r *Ring, now time.Time) string {
	t.Helper()
	token, err := r.Sign(identity.Identity{Subject: "x", Expires: now.Add(time.Minute)}, now)
	require.NoError(t, err)
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	require.NoError(t, err)
	return parsed.Headers[0].KeyID
}

func published(r *Ring) []string {
	var kids []string
	for _, k := range r.Public().Keys {
		kids = append(kids, k.Kid)
	}
	return kids
}

func TestRotate(t *testing.T) { // AUTH-11
	t.Parallel()

	q := store.New(dbtest.New(t, "auth"))
	r, err := newRing(t, q, "a-secret-of-the-tests")
	require.NoError(t, err)
	begin := time.Now()
	first := published(r)[0]
	require.Equal(t, first, signer(t, r, begin))

	require.NoError(t, r.Rotate(t.Context(), begin.Add(Period-Lead-time.Minute)))
	require.Equal(t, []string{first}, published(r), "not before its time")

	soon := begin.Add(Period - Lead + time.Second)
	require.NoError(t, r.Rotate(t.Context(), soon))
	require.NoError(t, r.Rotate(t.Context(), soon), "once")
	require.Len(t, published(r), 2)
	require.Equal(t, first, signer(t, r, soon), "published before it is used")
	second := published(r)[1]
	then := begin.Add(Period + time.Second)
	require.Equal(t, second, signer(t, r, then))
	require.Contains(t, published(r), first, "what the old one signed is still valid")

	require.NoError(t, r.Rotate(t.Context(), then.Add(after+time.Minute)))
	require.NotContains(t, published(r), first)
	require.Contains(t, published(r), second)
}

func TestRotateAfterALongPause(t *testing.T) {
	t.Parallel()

	r, err := newRing(t, store.New(dbtest.New(t, "auth")), "a-secret-of-the-tests")
	require.NoError(t, err)
	late := time.Now().Add(10 * Period)
	require.NoError(t, r.Rotate(t.Context(), late))
	require.Equal(t, published(r)[0], signer(t, r, late), "the next one is not known to anyone yet")
	require.Equal(t, published(r)[1], signer(t, r, late.Add(Lead)))
}

func TestOpenAtOnce(t *testing.T) {
	t.Parallel()

	q := store.New(dbtest.New(t, "auth"))
	kids := make([]string, 10)
	var wg sync.WaitGroup
	for i := range kids {
		wg.Go(func() {
			r, err := newRing(t, q, "a-secret-of-the-tests")
			if err != nil {
				t.Error(err)
				return
			}
			kids[i] = published(r)[0]
		})
	}
	wg.Wait()
	require.Len(t, slices.Compact(kids), 1)
}

func TestKeysRestUnreadable(t *testing.T) {
	t.Parallel()

	q := store.New(dbtest.New(t, "auth"))
	_, err := newRing(t, q, "a-secret-of-the-tests")
	require.NoError(t, err)
	_, err = newRing(t, q, "another-secret-of-the-tests")
	require.ErrorContains(t, err, "KEY_ENCRYPTION_SECRET")
}
