package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/sdk/go/examples/journey"
)

// The platform's main story, exactly as `./task demo` plays it. AUTH-1, AUTH-12, APP-8, APP-9, APP-12, MAIL-6: sign-up by mail, a
// doctor made by an admin, reference data, free slots, booking, moving, cancelling, the waitlist, and a mail at each step.
func TestJourney(t *testing.T) {
	t.Parallel()

	p := shared(t)
	cfg := journey.Config{URL: p.PublicURL(), MailpitURL: p.MailURL(), AdminUsername: "admin"}
	for _, a := range p.Accounts() {
		if a.Username == cfg.AdminUsername {
			cfg.AdminPassword = a.Password
		}
	}
	cfg.Report = func(s journey.Step) { t.Logf("%-5s %s %s", s.Who, s.What, s.Detail) }
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	require.NoError(t, journey.Run(ctx, cfg))
}
