package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// round is one fault: normal, broken, recovering, settled. The normal time after it is that before the next one.
type round struct {
	row
	before, broken, recovering, after span
	writes                            []*write
}

// measure breaks one thing after the other while the load goes on.
func (p *platform) measure(ctx context.Context, chosen []fault) ([]row, error) {
	say("setting the scene: %d patients, %d newcomers, a doctor", patients, len(chosen)*newcomers)
	s, err := p.setScene(ctx, len(chosen))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	l, w := &load{scene: s}, &watcher{}
	l.start(running)
	l.running.Go(func() { w.watch(running, s.admin, target) })
	defer func() {
		stop()
		l.running.Wait()
	}()
	say("warming up: %d/s reads of auth, %d/s reads of appointment, %d/s bookings", otherRate, faultedRate, writeRate)
	warm := &writes{}
	l.current.Store(warm)
	if !pause(ctx, normal) {
		return nil, context.Cause(ctx)
	}
	l.current.Store(nil)
	warm.close()
	var rounds []*round
	for i, f := range chosen {
		say("[%d of %d] %s: %s", i+1, len(chosen), f.name, f.what)
		r := &round{row: row{fault: f}}
		if err := p.play(ctx, r, l, w); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if i > 0 {
			rounds[i-1].after = r.before
		}
		rounds = append(rounds, r)
	}
	last := rounds[len(rounds)-1]
	l.current.Store(&writes{})
	if last.after, err = stay(ctx, normal); err != nil {
		return nil, err
	}
	var rows []row
	for _, r := range rounds {
		r.judge(&l.ledger)
		rows = append(rows, r.row)
	}
	return rows, nil
}

// stay lets time go by.
func stay(ctx context.Context, d time.Duration) (span, error) {
	from := time.Now()
	if !pause(ctx, d) {
		return span{}, context.Cause(ctx)
	}
	return span{from, time.Now()}, nil
}

// play lets one fault come and go, and follows what was written until it is settled.
func (p *platform) play(ctx context.Context, r *round, l *load, w *watcher) (err error) {
	all := &writes{}
	first := int(l.slots.Load())
	l.current.Store(all)
	if r.before, err = stay(ctx, normal); err != nil {
		return err
	}
	l.joining.Store(true)
	begun := time.Now()
	end, err := r.begin(ctx, p)
	if end != nil {
		defer func() { // also when it is interrupted, and before the stack is stopped
			if end != nil {
				err = errors.Join(err, end(context.WithoutCancel(ctx)))
			}
		}()
	}
	if err != nil {
		return err
	}
	if _, err = stay(ctx, broken); err != nil {
		return err
	}
	over := end
	end = nil
	if err := over(ctx); err != nil {
		return err
	}
	l.joining.Store(false)
	r.broken = span{begun, time.Now()}
	if opened, ok := w.first(begun, func(l look) bool { return l.open }); ok {
		r.opened = &opened
	}
	r.known = w.known(begun)
	say("      over; waiting until all is as before")
	if err := p.recover(ctx, r, l, w); err != nil {
		return err
	}
	l.current.Store(nil)
	r.writes = all.close()
	say("      recovered after %.1f s; following what was written", r.recovering.to.Sub(r.recovering.from).Seconds())
	if err := l.follow(ctx, r.writes); err != nil {
		return err
	}
	r.drained = time.Since(r.broken.to)
	t, err := p.truth(ctx, l.scene, r.writes, l.slot(first), l.slot(int(l.slots.Load())))
	if err != nil {
		return err
	}
	r.balance = settle(r.writes, t)
	say("      %d writes accepted, %d of them deferred; %d lost, %d doubled", r.balance.accepted, r.balance.deferred, r.balance.lost, r.balance.doubled)
	for _, wrong := range r.balance.wrong {
		say("      %s", wrong)
	}
	return nil
}

// recover waits until every process is healthy, the circuit closed and every read answered for a while.
func (p *platform) recover(ctx context.Context, r *round, l *load, w *watcher) error {
	const calm = 2 * time.Second
	limit, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	r.recovering.from = r.broken.to
	for {
		now := time.Now()
		latest := l.ledger.during(span{now.Add(-calm), now})
		closed, isClosed := w.first(r.broken.to, func(l look) bool { return l.closed })
		quiet := now.Sub(r.broken.to) > calm && len(latest) > 0 && failures(latest) == 0
		if quiet && (isClosed || !w.known(r.broken.to)) && p.WaitHealthy(limit) == nil {
			r.recovered, r.recovering.to = true, time.Now()
			if isClosed {
				r.closed = &closed
			}
			return nil
		}
		if !pause(limit, lookEvery) {
			r.recovering.to = time.Now()
			return ctx.Err() // not being recovered is a finding, not a failure to measure
		}
	}
}

// judge makes the row of the table.
func (r *round) judge(l *ledger) {
	hurt := l.during(r.broken, r.recovering)
	r.seen = count(hurt)
	r.failedReads, r.failedOthers = failures(of(hurt, faulted)), failures(of(hurt, other))
	r.others = percentile(of(l.during(r.broken), other), 0.99)
	r.othersNormal = percentile(of(l.during(r.before, r.after), other), 0.99)
}
