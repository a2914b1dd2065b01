package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/jobs"
)

type task struct{}

func (task) Kind() string { return "task" }

type worker struct {
	river.WorkerDefaults[task]
	begun, release chan struct{}
	ended          chan error
}

func (w *worker) Work(ctx context.Context, _ *river.Job[task]) error {
	w.begun <- struct{}{}
	select {
	case <-w.release:
	case <-ctx.Done():
	}
	w.ended <- ctx.Err()
	return ctx.Err()
}

func TestRun(t *testing.T) {
	t.Parallel()

	db := dbtest.New(t, "mailing")
	w := &worker{begun: make(chan struct{}), release: make(chan struct{}), ended: make(chan error, 1)}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	client, err := jobs.New(db, workers)
	require.NoError(t, err)
	for range 2 { // and what has stopped can run again
		_, err = client.Insert(t.Context(), task{}, nil)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- jobs.Run(client)(ctx) }()
		<-w.begun
		stop()
		select {
		case <-stopped:
			t.Fatal("stopped before the job had ended")
		case <-time.After(50 * time.Millisecond):
		}
		w.release <- struct{}{}
		require.NoError(t, <-w.ended, "the job may finish")
		require.NoError(t, <-stopped)
	}
	var completed int
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE state = 'completed'").Scan(&completed))
	require.Equal(t, 2, completed)
}
