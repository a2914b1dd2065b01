package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// round is one fault, once: normal, broken, recovering, settled. The normal time after it is that before the next round.
type round struct {
	row
	before, broken, recovering, after span
	writes                            []*write
}

// session is a run with all of its rounds.
type session struct {
	*platform
	load
	watcher
	rounds []*round
}

// measure breaks one thing after the other while the load goes on. What was slower beside a fault than is promised is
// measured again, so that more samples tell whether it was chance.
func (p *platform) measure(ctx context.Context, chosen []fault) ([]row, error) {
	say("setting the scene: %d patients, %d newcomers, a doctor", patients, (len(chosen)+repeats)*newcomers)
	people, err := p.setScene(ctx, len(chosen)+repeats)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	s := &session{platform: p, load: load{scene: people}}
	s.start(running)
	s.running.Go(func() { s.watch(running, people.admin, target) })
	defer func() {
		stop()
		s.running.Wait()
	}()
	say("warming up: %d/s reads of auth, %d/s reads of appointment, %d/s bookings", otherRate, faultedRate, writeRate)
	warm := &writes{}
	s.current.Store(warm)
	if _, err := stay(ctx, normal); err != nil {
		return nil, err
	}
	warm.close()
	if err := s.playAll(ctx, chosen); err != nil {
		return nil, err
	}
	for n := 0; n < repeats; {
		slow := slices.DeleteFunc(s.rows(), func(r row) bool { return r.shared || r.ratio() <= worstP99 })
		if len(slow) == 0 || !time.Now().Add(longestRound).Before(deadline(ctx)) {
			break
		}
		var again []fault
		for _, r := range slow[:min(len(slow), repeats-n)] {
			say("%s: the p99 of other services was %.2f times its normal one; once more, for more samples", r.name, r.ratio())
			again = append(again, r.fault)
		}
		n += len(again)
		if err := s.playAll(ctx, again); err != nil {
			return nil, err
		}
	}
	return s.rows(), nil
}

func deadline(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d
}

// playAll plays one round of each fault, and leaves the last one a normal time as well.
func (s *session) playAll(ctx context.Context, chosen []fault) error {
	for i, f := range chosen {
		say("[%d of %d] %s: %s", i+1, len(chosen), f.name, f.what)
		r := &round{row: row{fault: f, runs: 1}}
		if err := s.play(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if i > 0 {
			s.rounds[len(s.rounds)-1].after = r.before
		}
		s.rounds = append(s.rounds, r)
	}
	idle := &writes{}
	s.current.Store(idle)
	defer idle.close()
	var err error
	s.rounds[len(s.rounds)-1].after, err = stay(ctx, normal)
	return err
}

// rows makes one of all the rounds of a fault.
func (s *session) rows() []row {
	var rows []row
	beside, usual := map[string][]sample{}, map[string][]sample{}
	for _, r := range s.rounds {
		hurt := s.ledger.during(r.broken, r.recovering)
		one := r.row
		one.seen = count(hurt)
		one.failedReads, one.failedOthers = failures(of(hurt, faulted)), failures(of(hurt, other))
		beside[r.name] = append(beside[r.name], of(s.ledger.during(r.broken), other)...)
		usual[r.name] = append(usual[r.name], of(s.ledger.during(r.before, r.after), other)...)
		i := slices.IndexFunc(rows, func(had row) bool { return had.name == r.name })
		if i < 0 {
			rows, i = append(rows, one), len(rows)
		} else {
			rows[i] = rows[i].and(one)
		}
		rows[i].others, rows[i].othersNormal = percentile(beside[r.name], 0.99), percentile(usual[r.name], 0.99)
	}
	return rows
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
func (s *session) play(ctx context.Context, r *round) (err error) {
	all := &writes{}
	first := int(s.slots.Load())
	s.current.Store(all)
	if r.before, err = stay(ctx, normal); err != nil {
		return err
	}
	s.joining.Store(true)
	begun := time.Now()
	end, err := r.begin(ctx, s.platform)
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
	s.joining.Store(false)
	r.broken = span{begun, time.Now()}
	if opened, ok := s.first(begun, func(l look) bool { return l.open }); ok {
		r.opened = &opened
	}
	r.known = s.known(begun)
	say("      over; waiting until all is as before")
	if err := s.awaitCalm(ctx, r); err != nil {
		return err
	}
	s.current.Store(nil)
	r.writes = all.close()
	say("      recovered after %.1f s; following what was written", r.recovering.to.Sub(r.recovering.from).Seconds())
	if err := s.follow(ctx, r.writes); err != nil {
		return err
	}
	r.drained = time.Since(r.broken.to)
	t, err := s.truth(ctx, s.scene, r.writes, s.slot(first), s.slot(int(s.slots.Load())))
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

// awaitCalm waits until every process is healthy, the circuit closed and every read answered for a while.
func (s *session) awaitCalm(ctx context.Context, r *round) error {
	const calm = 2 * time.Second
	limit, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	r.recovering.from = r.broken.to
	for {
		now := time.Now()
		latest := s.ledger.during(span{now.Add(-calm), now})
		closed, isClosed := s.first(r.broken.to, func(l look) bool { return l.closed })
		quiet := now.Sub(r.broken.to) > calm && len(latest) > 0 && failures(latest) == 0
		if quiet && (isClosed || !s.known(r.broken.to)) && s.WaitHealthy(limit) == nil {
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
