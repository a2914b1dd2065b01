package auth

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/healthe/healthe/services/auth/internal/keys"
)

// ownKeys answers auth's own question for its key set without a detour over the network.
type ownKeys struct{ ring *keys.Ring }

func (o ownKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := json.Marshal(o.ring.Public())
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text)))}, nil
}
