package mailing

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/healthe/healthe/services/mailing/internal/store"
)

// How long what is personal stays, after it has served: long enough to answer "where is my mail?", no longer.
// What a mail says is erased at once when its last delivery ends.
const (
	keepAddresses = 3 * 24 * time.Hour
	keepMessages  = 30 * 24 * time.Hour
	keepQueued    = 2 * 24 * time.Hour // a mail still queued then lost its job with the process of its last try
	tidyEvery     = time.Hour
)

// tidyJob erases what is no longer needed.
type tidyJob struct{}

func (tidyJob) Kind() string { return "tidy" }

type tidier struct {
	river.WorkerDefaults[tidyJob]
	store *store.Queries
	now   func() time.Time
}

func (t *tidier) Work(ctx context.Context, _ *river.Job[tidyJob]) error {
	now := t.now()
	lost, err := t.store.SetLostDeliveriesEnded(ctx, store.SetLostDeliveriesEndedParams{Now: now, Before: now.Add(-keepQueued)})
	if err != nil {
		return err
	}
	if err := t.store.DeleteLostContents(ctx, now.Add(-keepQueued)); err != nil {
		return err
	}
	addresses, err := t.store.DeleteAddresses(ctx, now.Add(-keepAddresses))
	if err != nil {
		return err
	}
	if err := t.store.DeleteDigests(ctx, now.Add(-courierWindow)); err != nil {
		return err
	}
	messages, err := t.store.DeleteMessages(ctx, now.Add(-keepMessages))
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "tidied", "lost", lost, "addresses", addresses, "messages", messages)
	return nil
}
