// Package circuits shows operators how the core services do, and lets them force a circuit open or closed. Every instance
// of the catalog publishes what it sees and follows what was forced, so that any of them can be asked about all.
package circuits

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/healthe/healthe/db/broadcast"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

const (
	every      = time.Second            // a report, an event, a point of a curve
	patience   = 900 * time.Millisecond // with the database, within a second
	sweepEvery = 10                     // reports
	followPoll = 5 * time.Second        // should a notice ever be lost
	goodbye    = time.Second            // to take the own report away on the end
)

// Source is the way to one core service: what is seen there, and its circuit.
type Source interface {
	Report() api.Circuit
	Force(state *api.OverrideState) // nil releases
}

// Config is what the circuits are made of.
type Config struct {
	DB      *postgres.DB
	Sources map[string]Source
	Cache   func() api.CacheReport
	Backlog func(context.Context) (pending int64, oldest time.Duration, err error) // of deferred writes
	Life    func(context.Context) context.Context                                  // of a stream, which outlasts a request's deadline
}

// Circuits implements the operations tagged `circuits` of openapi/catalog.yaml.
type Circuits struct {
	Config
	instance string // its name, a random one
	store    *store.Queries
	others   *broadcast.Broadcast
	stir     chan struct{} // overrides may have changed
	sheet    *sheet

	following sync.Mutex // so that what was read first is applied first

	mu      sync.Mutex
	inForce []api.Override // as last known
	history []sample       // the last minute; never changed, only replaced
	latest  *frame

	watchers, instances atomic.Int64
	away                atomic.Bool
}

// New returns circuits that are by themselves until Run.
func New(cfg Config) *Circuits {
	c := &Circuits{
		Config: cfg, instance: strings.ToLower(rand.Text()[:10]), store: store.New(cfg.DB),
		stir: make(chan struct{}, 1), sheet: newSheet(), latest: newFrame(nil),
	}
	c.others = broadcast.New(cfg.DB.Pool(), "circuit_overrides", func(string) { c.wake() }, c.wake)
	c.observe()
	return c
}

// Run publishes what this instance sees and follows what is forced, until ctx ends.
func (c *Circuits) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { _ = c.others.Listen(ctx) }) // ends with ctx only
	parts.Go(func() { c.follow(ctx) })
	defer c.withdraw(ctx)
	clock := time.NewTicker(every)
	defer clock.Stop()
	for n := 0; ; n++ {
		c.tick(ctx, n%sweepEvery == 0)
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		}
	}
}

func (c *Circuits) tick(ctx context.Context, sweep bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c.notice(ctx, c.publish(ctx, sweep))
	s := c.take(ctx)
	c.instances.Store(int64(len(s.Instances)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(slices.Clone(c.history[max(0, len(c.history)-points+1):]), sampleOf(s))
	history := c.history
	before := c.latest
	c.latest = newFrame(func() []byte { return c.events(s, history) })
	close(before.over)
}

func (c *Circuits) publish(ctx context.Context, sweep bool) error {
	report, err := json.Marshal(c.report())
	if err != nil {
		return err
	}
	if err := c.store.PutCircuitReport(ctx, store.PutCircuitReportParams{Instance: c.instance, Report: report}); err != nil || !sweep {
		return err
	}
	return c.store.DeleteSilentCircuitReports(ctx)
}

// notice says in the log when the database goes and when it is back, and not every second.
func (c *Circuits) notice(ctx context.Context, err error) {
	switch away := err != nil; {
	case away == c.away.Swap(away):
	case away:
		slog.WarnContext(ctx, "circuits are not published", "error", err)
	default:
		slog.InfoContext(ctx, "circuits are published again")
	}
}

// withdraw takes the report of an instance that ends away, so that nobody shows it for seconds to come.
func (c *Circuits) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := c.store.DeleteCircuitReport(ctx, c.instance); err != nil {
		slog.WarnContext(ctx, "report left behind", "error", err)
	}
}

func (c *Circuits) report() api.InstanceReport {
	r := api.InstanceReport{Instance: c.instance, ReportedAt: time.Now().UTC(), Cache: c.Cache(), Circuits: []api.Circuit{}}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		r.Circuits = append(r.Circuits, c.Sources[name].Report())
	}
	return r
}

// snapshot is what is known of all instances at one moment.
type snapshot struct {
	api.Circuits
	at    time.Time
	alone bool // the others could not be asked for
}

// take asks what all instances see; where the database is away, what this one sees.
func (c *Circuits) take(ctx context.Context) snapshot {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own := c.report()
	rows, err := c.store.ListCircuitReports(ctx)
	s := snapshot{at: own.ReportedAt, alone: err != nil}
	s.Instances = []api.InstanceReport{own}
	for _, row := range rows {
		var other api.InstanceReport
		if row.Instance == c.instance || json.Unmarshal(row.Report, &other) != nil { // the latter is of another version
			continue
		}
		other.ReportedAt = row.ReportedAt.UTC()
		s.Instances = append(s.Instances, other)
	}
	slices.SortFunc(s.Instances, func(a, b api.InstanceReport) int { return strings.Compare(a.Instance, b.Instance) })
	if pending, oldest, err := c.Backlog(ctx); err == nil {
		s.Deferred = api.DeferredWrites{Pending: &pending, OldestS: new(int64(oldest.Seconds()))}
	}
	s.Overrides = c.forced()
	return s
}

// forced returns the overrides in force, as last known.
func (c *Circuits) forced() []api.Override {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]api.Override{}, c.inForce...)
}

// lately returns the last minute.
func (c *Circuits) lately() []sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.history
}
