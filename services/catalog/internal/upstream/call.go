package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// call is one attempt, and lasts until its answer has been read.
type call struct {
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // of the next part of the answer
	late   atomic.Bool
}

func newCall(ctx context.Context) *call {
	c := &call{}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// limit ends the call if lift does not come in time.
func (c *call) limit(d time.Duration) {
	if c.timer == nil {
		c.timer = time.AfterFunc(d, func() {
			c.late.Store(true)
			c.cancel()
		})
		return
	}
	c.timer.Reset(d)
}

// lift says whether it came too late.
func (c *call) lift() bool {
	c.timer.Stop()
	return c.late.Load()
}

func (c *call) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.cancel()
}

// refuse ends a call that is not made.
func (c *call) refuse(r *http.Request, err error) error {
	c.stop()
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return err
}

// carry hands the answer on. Its body must keep coming, the call lasts until it ends, and whether it was good is known then only.
// A probe and a stream are judged by their beginning: others wait for the one, and nobody knows when the other ends.
func (u *Upstream) carry(c *call, p permit, judged bool, resp *http.Response) *http.Response {
	stream := isStream(resp)
	if !judged && (p.probe || stream || resp.Body == http.NoBody) {
		u.circuit.judge(p, false)
		judged = true
	}
	if resp.Body == http.NoBody {
		c.stop()
		return resp
	}
	a := &answer{ReadCloser: resp.Body, call: c, permit: p, upstream: u, idle: u.settings.Idle, judged: judged}
	if stream {
		a.idle = 0 // silence is nothing wrong there
	}
	resp.Body = a
	return resp
}

// answer is a body on its way.
type answer struct {
	io.ReadCloser
	call     *call
	upstream *Upstream
	permit   permit
	idle     time.Duration
	judged   bool
	ended    bool
}

func (a *answer) Read(b []byte) (int, error) {
	if a.idle > 0 {
		a.call.limit(a.idle)
	}
	n, err := a.ReadCloser.Read(b)
	late := a.idle > 0 && a.call.lift()
	if err == nil || a.ended {
		return n, err
	}
	if late {
		err = ErrTimeout
	}
	a.end(!errors.Is(err, io.EOF) && (late || a.call.ctx.Err() == nil))
	a.call.stop()
	return n, err
}

// end judges the call once: a reader who leaves says nothing against the service.
func (a *answer) end(broken bool) {
	if a.ended {
		return
	}
	a.ended = true
	if broken {
		a.upstream.circuit.broke()
		a.upstream.counts.brokeUp.Add(1)
	}
	if broken || !a.judged {
		a.upstream.circuit.judge(a.permit, broken)
	}
}

func (a *answer) Close() error {
	a.end(false)
	a.call.stop() // first: else Close may wait for what is still to come
	return a.ReadCloser.Close()
}

// upload watches a body that comes straight from the client: when it does not come, the service is not to blame.
type upload struct {
	io.ReadCloser
	reading atomic.Bool
	err     atomic.Pointer[error]
}

func (s *upload) Read(b []byte) (int, error) {
	s.reading.Store(true)
	defer s.reading.Store(false)
	n, err := s.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err.Store(&err)
	}
	return n, err
}

// watch returns nil for a body that is at hand.
func watch(r *http.Request) *upload {
	if empty(r) || r.GetBody != nil {
		return nil
	}
	return &upload{ReadCloser: r.Body}
}

func (s *upload) request(r *http.Request, ctx context.Context) *http.Request {
	r = r.WithContext(ctx)
	if s != nil {
		r.Body = s
	}
	return r
}

// stuck says whether the client is what the call waits for, or broke off.
func (s *upload) stuck() bool { return s != nil && (s.reading.Load() || s.err.Load() != nil) }

// cause is what the client did, or else err.
func (s *upload) cause(err error) error {
	if s != nil && s.err.Load() != nil {
		return &uploadError{*s.err.Load()}
	}
	return err
}

func empty(r *http.Request) bool { return r.Body == nil || r.Body == http.NoBody }

// repeat returns the request once more, with its body from the start.
func repeat(r *http.Request) (*http.Request, error) {
	if empty(r) {
		return r, nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	again := r.WithContext(r.Context())
	again.Body = body
	return again, nil
}
