// Package pages stub.
package pages

import (
	"net/http"

	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

type Config struct {
	PublicURL string
	API       http.Handler
	Gate      *gate.Gate
	Hydra     *hydra.Client
	Kratos    *kratos.Client
}

func New(Config) (http.Handler, error) { return http.NotFoundHandler(), nil }
