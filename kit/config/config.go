// Package config reads a service's configuration from the environment, once, at start.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// developmentPrefix marks the secrets that `./task up` makes. They may lie in files
// and logs of a developer's machine, so production refuses them.
const developmentPrefix = "development-"

// Secret is a setting that never shows in a log, an error or a dump.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string   { return "(secret)" }
func (Secret) GoString() string { return "(secret)" }

// MarshalText keeps the secret out of JSON and slog.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Parse fills a C from the environment by its `env` tags and reports every mistake at once.
// With HEALTHE_ENV=production it refuses secrets that were made for development.
func Parse[C any]() (C, error) {
	cfg, err := env.ParseAs[C]()
	var all []error
	if aggregate, ok := errors.AsType[env.AggregateError](err); ok {
		all = aggregate.Errors
	} else if err != nil {
		all = []error{err}
	}
	all = append(all, refuseDevelopment(reflect.ValueOf(cfg))...)
	if len(all) == 0 {
		return cfg, nil
	}
	return cfg, fmt.Errorf("configuration: %w", errors.Join(all...))
}

func refuseDevelopment(cfg reflect.Value) []error {
	fields := reflect.VisibleFields(cfg.Type())
	production := false
	for _, f := range fields {
		production = production || f.Tag.Get("env") == "HEALTHE_ENV" && cfg.FieldByIndex(f.Index).String() == "production"
	}
	var all []error
	for _, f := range fields {
		if production && f.Type == reflect.TypeFor[Secret]() && strings.Contains(cfg.FieldByIndex(f.Index).String(), developmentPrefix) {
			name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
			all = append(all, fmt.Errorf("%s holds a development secret, which production refuses", name))
		}
	}
	return all
}
