// Package keys keeps the Ed25519 keys that identities are signed with: in auth's database,
// sealed, shared by all instances, and replaced in time.
//
// A key is published from the moment it is made and signs from a while later on, so that
// every verifier has it by then. It is deleted when nobody asks any more whether it signed something.
package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/auth/internal/seal"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const (
	// Period is how long a key signs.
	Period = 24 * time.Hour
	// Lead is how long a key is published before it signs, longer than anyone keeps the key set.
	Lead = 10 * time.Minute
	// after is how long a key stays once the next one signs: a deferred write is carried out on the word of an identity that has ended.
	after   = Memory + 10*time.Minute
	refresh = 30 * time.Second
	purpose = "signing key"
)

type key struct {
	id     uuid.UUID
	gen    int32
	from   time.Time
	public ed25519.PublicKey
	signer identity.Signer
}

// Ring is one instance's view of the keys.
type Ring struct {
	store *store.Queries
	box   seal.Box
	keys  atomic.Pointer[[]key] // by generation
}

// Open makes the first key if there is none and reads all.
func Open(ctx context.Context, q *store.Queries, box seal.Box) (*Ring, error) {
	r := &Ring{store: q, box: box}
	return r, r.Rotate(ctx, time.Now())
}

// Rotate makes the next key when it is time and deletes those that are over. Instances may
// do it at once: the first to store a generation has made it, for all.
func (r *Ring) Rotate(ctx context.Context, now time.Time) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	all := *r.keys.Load()
	if err := r.advance(ctx, all, now); err != nil {
		return err
	}
	for i := len(all) - 1; i > 0; i-- {
		if now.Sub(all[i].from) > after {
			if err := r.store.DeleteSigningKeys(ctx, all[i].gen); err != nil {
				return err
			}
			break
		}
	}
	return r.load(ctx)
}

// advance stores the key after the last one, if the last one has not long to go.
func (r *Ring) advance(ctx context.Context, all []key, now time.Time) error {
	next, from := int32(1), now
	if len(all) > 0 {
		last := all[len(all)-1]
		next, from = last.gen+1, last.from.Add(Period)
		if now.Before(from.Add(-Lead)) {
			return nil
		}
		if soonest := now.Add(Lead); from.Before(soonest) { // nobody ran for a while
			from = soonest
		}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	made, err := r.store.CreateSigningKey(ctx, store.CreateSigningKeyParams{
		Generation: next, PublicKey: public, SealedKey: r.box.Seal(purpose, private.Seed()), SignsFrom: from,
	})
	if err == nil && made == 1 {
		slog.InfoContext(ctx, "signing key made", "generation", next, "signs_from", from)
	}
	return err
}

func (r *Ring) load(ctx context.Context) error {
	rows, err := r.store.ListSigningKeys(ctx)
	if err != nil {
		return err
	}
	all := make([]key, len(rows))
	for i, row := range rows {
		seed, err := r.box.Open(purpose, row.SealedKey)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", row.ID, err)
		}
		signer, err := identity.NewSigner(row.ID.String(), ed25519.NewKeyFromSeed(seed))
		if err != nil {
			return err
		}
		all[i] = key{id: row.ID, gen: row.Generation, from: row.SignsFrom, public: row.PublicKey, signer: signer}
	}
	r.keys.Store(&all)
	return nil
}

// Follow reads again what other instances did, until ctx ends.
func (r *Ring) Follow(ctx context.Context) error {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := r.load(ctx); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "signing keys not read", "error", err)
			}
		}
	}
}

// Sign states that i holds, with the key whose time it is.
func (r *Ring) Sign(i identity.Identity, now time.Time) (string, error) {
	all := *r.keys.Load()
	for n := len(all) - 1; n >= 0; n-- {
		if n == 0 || !all[n].from.After(now) { // the very first signs even if this clock is behind
			return all[n].signer.Sign(i, now)
		}
	}
	return "", errors.New("no signing key")
}

// Public returns what verifiers need.
func (r *Ring) Public() api.KeySet {
	all := *r.keys.Load()
	var set api.KeySet
	for _, k := range all {
		set.Keys = append(set.Keys, api.Key{
			Kty: "OKP", Crv: "Ed25519", Use: "sig", Alg: "EdDSA", Kid: k.id.String(), X: base64.RawURLEncoding.EncodeToString(k.public),
		})
	}
	return set
}
