// Package openapi holds the contracts: one YAML document for each service, and
// one generated package beside it that servers and clients share. It needs nothing
// but the generator's small runtime, so that users of an SDK inherit nothing else.
package openapi

import "embed"

// Files holds every contract by its file name, "appointment.yaml" and so on.
//
//go:embed [a-z]*.yaml
var Files embed.FS
