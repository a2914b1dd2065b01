package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/config"
)

type Base struct {
	Env string `env:"HEALTHE_ENV" envDefault:"development"`
}

type settings struct {
	Base
	Port   int           `env:"PORT,required"`
	Name   string        `env:"NAME,required"`
	Secret config.Secret `env:"SECRET"`
}

func TestParse(t *testing.T) { // t.Setenv forbids t.Parallel
	t.Run("reports every mistake at once", func(t *testing.T) {
		t.Setenv("PORT", "eighty")
		_, err := config.Parse[settings]()
		require.ErrorContains(t, err, "Port")
		require.ErrorContains(t, err, "NAME")
	})

	t.Run("refuses a development secret in production", func(t *testing.T) {
		t.Setenv("PORT", "80")
		t.Setenv("NAME", "x")
		t.Setenv("SECRET", "postgres://auth:development-abc@db/auth")
		_, err := config.Parse[settings]()
		require.NoError(t, err)

		t.Setenv("HEALTHE_ENV", "production")
		_, err = config.Parse[settings]()
		require.ErrorContains(t, err, "SECRET holds a development secret")
		require.NotContains(t, err.Error(), "abc")
	})
}

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()

	cfg := settings{Secret: "hunter2"}
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	var logged strings.Builder
	for _, h := range []slog.Handler{slog.NewJSONHandler(&logged, nil), slog.NewTextHandler(&logged, nil)} {
		slog.New(h).Info("start", "config", cfg, "secret", cfg.Secret)
	}
	for _, s := range []string{string(text), fmt.Sprint(cfg), fmt.Sprintf("%+v %#v %s %q %v", cfg, cfg, cfg.Secret, cfg.Secret, []any{&cfg.Secret}), logged.String()} {
		require.NotContains(t, s, "hunter2")
	}
	require.Equal(t, "hunter2", cfg.Secret.Reveal())
}
