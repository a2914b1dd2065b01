// Package deferral takes on writes while their service is out and carries them out when it is back: under the user's
// identity, in order, once.
//
// The row of an operation is all there is to know. A River job is one try of it, made on a lease of the row; the try ends in
// a transaction that says what became of it and makes the job of the next. A job too many finds that there is nothing to do,
// and for one too few, or a process that died with its lease, Run looks.
package deferral

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel"

	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

const (
	// lifetime is short of the 24 hours that services remember a key by more than a first attempt takes: a write that was
	// done although nobody heard of it is not done again.
	lifetime = 24*time.Hour - time.Minute
	kept     = 30 * 24 * time.Hour // after the end

	maxPending = 20 // of one user

	sweepEvery = time.Second
	overdue    = time.Second // a try not begun, or a lease not given back, so long after its time needs another job: River's leader may be gone
	maxOverdue = 100         // at once: more than one process works at
	storeTime  = 3 * time.Second
)

// Config is what a Deferral works with.
type Config struct {
	Target    *url.URL                               // Traefik's internal entry point
	Upstream  func(service string) http.RoundTripper // the way to a service, through its circuit
	Out       func(service string) bool              // an open circuit: no try is worth an exchange; may be nil
	Auth      auth.ClientWithResponsesInterface      // as this service, with identities:exchange
	Mailing   mailing.ClientWithResponsesInterface   // as this service, with mail:send
	PublicURL string                                 // where mails link to
}

// Deferral keeps the deferred writes of all users. Each instance of the catalog has one, on the same database.
type Deferral struct {
	cfg     Config
	db      *postgres.DB
	store   *store.Queries
	jobs    *jobs.Client
	metrics metrics
	now     func() time.Time
	// How long a try and its lease last, how long a job may wait, how often that is looked at, and how long the next try waits.
	tryTime, leaseTime, overdue, sweepEvery time.Duration
	pace                                    func(waited time.Duration) time.Duration
}

// New returns a Deferral whose work is done by Run.
func New(db *postgres.DB, cfg Config) (*Deferral, error) {
	d := &Deferral{
		cfg: cfg, db: db, store: store.New(db), now: time.Now,
		tryTime: tryTime, leaseTime: leaseTime, overdue: overdue, sweepEvery: sweepEvery, pace: pace,
	}
	d.observe(otel.Meter("healthe"))
	workers := river.NewWorkers()
	river.AddWorker(workers, &replayer{deferral: d})
	river.AddWorker(workers, &mailer{deferral: d})
	river.AddWorker(workers, river.WorkFunc(d.forget))
	var err error
	d.jobs, err = jobs.New(db, workers, river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
		func() (river.JobArgs, *river.InsertOpts) { return forgetJob{}, nil }, &river.PeriodicJobOpts{RunOnStart: true}))
	return d, err
}

// Background returns what must run, each until its context ends.
func (d *Deferral) Background() []func(context.Context) error {
	return []func(context.Context) error{jobs.Run(d.jobs), d.sweep}
}

// sweep makes jobs for what has lost its own. Each instance does it: waiting for a leader, or until River finds out that a
// process is gone, would take a minute.
func (d *Deferral) sweep(ctx context.Context) error {
	tick := time.NewTicker(d.sweepEvery)
	defer tick.Stop()
	for {
		if err := d.recover(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "overdue operations not found", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *Deferral) recover(ctx context.Context) error {
	return pgx.BeginFunc(ctx, d.db, func(tx pgx.Tx) error {
		now := d.now()
		ids, err := store.New(tx).SetOverdueDue(ctx, store.SetOverdueDueParams{Now: now, Before: now.Add(-d.overdue), MaxRows: maxOverdue})
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, withoutJob, ids)
		if err != nil {
			return err
		}
		if ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
			return err
		}
		return d.enqueue(ctx, tx, now, ids...)
	})
}

// withoutJob finds out which operations no worker will come to: however long all workers are busy, one job waits for them.
// A job that waits for its time counts for nothing, since the leader that would see to it may be gone, nor one that runs,
// since its process may be.
const withoutJob = `
SELECT due.id FROM unnest($1::uuid[]) AS due(id)
WHERE NOT EXISTS (SELECT FROM river_job WHERE kind = 'replay' AND state = 'available' AND args @> jsonb_build_object('id', due.id))`

// enqueue makes the jobs of the next tries.
func (d *Deferral) enqueue(ctx context.Context, tx pgx.Tx, at time.Time, ids ...uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	opts := &river.InsertOpts{MaxAttempts: 1}
	if at.After(d.now()) { // any time at all has the job wait for River's leader to look
		opts.ScheduledAt = at
	}
	todo := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		todo[i] = river.InsertManyParams{Args: replayJob{id}, InsertOpts: opts}
	}
	_, err := d.jobs.InsertManyFastTx(ctx, tx, todo)
	return err
}

// Backlog returns how many operations are pending, and how long the oldest of them has waited.
func (d *Deferral) Backlog(ctx context.Context) (pending int64, oldest time.Duration, err error) {
	row, err := d.store.CountPending(ctx)
	return row.Count, time.Duration(row.OldestS) * time.Second, err
}

type forgetJob struct{}

func (forgetJob) Kind() string { return "forget" }

// forget deletes what ended long ago, and what keys were for once they may name something else.
func (d *Deferral) forget(ctx context.Context, _ *river.Job[forgetJob]) error {
	if err := d.store.ReleaseKeys(ctx); err != nil {
		return err
	}
	return d.store.DeleteOldOperations(ctx, d.now().Add(-kept))
}
