// Package seal keeps what must rest in the database unreadable there: AES-256-GCM and keyed
// hashes under one secret of the service.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/healthe/healthe/kit/config"
)

const minSecret = 16 // characters

// Box seals and hashes under one secret.
type Box struct {
	aead cipher.AEAD
	mac  []byte
}

// New derives the keys of a box from secret.
func New(secret config.Secret) (Box, error) {
	if len(secret.Reveal()) < minSecret {
		return Box{}, fmt.Errorf("KEY_ENCRYPTION_SECRET needs at least %d characters", minSecret)
	}
	key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "healthe auth seal", 32)
	if err != nil {
		return Box{}, err
	}
	mac, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "healthe auth mac", 32)
	if err != nil {
		return Box{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Box{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return Box{aead: aead, mac: mac}, err
}

// Seal returns text, unreadable. purpose must be named again to open it.
func (b Box) Seal(purpose string, text []byte) []byte {
	return b.aead.Seal(nil, nil, text, []byte(purpose))
}

// Open returns what was sealed for purpose.
func (b Box) Open(purpose string, sealed []byte) ([]byte, error) {
	text, err := b.aead.Open(nil, nil, sealed, []byte(purpose))
	if err != nil {
		return nil, errors.New("sealed under another KEY_ENCRYPTION_SECRET")
	}
	return text, nil
}

// Hash returns a keyed hash of parts, which tells equal ones and nothing else.
func (b Box) Hash(parts ...string) []byte {
	h := hmac.New(sha256.New, b.mac)
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint32(len(p))) //nolint:gosec // short
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// Code returns six digits that only the secret's holder can tell from parts.
func (b Box) Code(parts ...string) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(b.Hash(append(parts, "code")...))%1_000_000)
}
