// Package jobs runs the work that outlives a request: River, in the service's own database.
// A job is inserted in the transaction that makes it necessary.
package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/healthe/healthe/kit/postgres"
)

const (
	workersPerInstance = 8
	stopTimeout        = 8 * time.Second  // for the jobs at hand, before they are cancelled and run again later
	graceTimeout       = 2 * time.Second  // to write down what became of them, should the database be there
	jobTimeout         = 30 * time.Second // unless its worker says otherwise
	rescueAfter        = 40 * time.Second // what a process was at when it died is run again; River's own default is an hour
)

// Client inserts jobs and, once Run, works them.
type Client = river.Client[pgx.Tx]

// New returns a client for workers. periodic jobs run once a period, however many instances
// there are: River elects who inserts them.
func New(db *postgres.DB, workers *river.Workers, periodic ...*river.PeriodicJob) (*Client, error) {
	return river.NewClient(riverpgxv5.New(db.Pool()), &river.Config{
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workersPerInstance}},
		Workers:      workers,
		PeriodicJobs: periodic,
		JobTimeout:   jobTimeout,

		SoftStopTimeout:      stopTimeout,
		RescueStuckJobsAfter: rescueAfter,
		Logger:               slog.New(quiet{slog.Default().Handler()}),
	})
}

// Run works jobs until ctx ends, then lets the running ones finish. It waits for a database
// that is away; it is a server.Service's background work.
func Run(client *Client) func(context.Context) error {
	return func(ctx context.Context) error {
		for err := client.Start(ctx); err != nil; err = client.Start(ctx) {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
				slog.WarnContext(ctx, "jobs wait for the database", "error", err)
			}
		}
		<-ctx.Done()
		select {
		case <-client.Stopped():
		case <-time.After(stopTimeout + graceTimeout):
			slog.WarnContext(ctx, "jobs were cut off; they run again")
		}
		return nil
	}
}

// quiet drops River's reports of normal life.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
