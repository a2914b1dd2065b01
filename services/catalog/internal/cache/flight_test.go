package cache

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
)

// inBubble runs test with a service that answers when it is let.
func inBubble(t *testing.T, test func(t *testing.T, b *slowBench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &slowBench{bench: newBench(t), let: make(chan struct{})}
		defer b.store.StopAllGoroutines()
		b.now = time.Now
		b.answer = text("toys")
		b.service.says(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-b.let:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
			b.mu.Lock()
			answer := b.answer
			b.mu.Unlock()
			answer(w, r)
		})
		test(t, b)
	})
}

type slowBench struct {
	*bench
	mu     sync.Mutex
	answer http.HandlerFunc
	let    chan struct{}
}

func (b *slowBench) answers(h http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = h
}

type outcome struct {
	status    int
	body      string
	from      string
	collapsed bool
	err       error
}

// begin starts a read and returns when it waits.
func (b *slowBench) begin(ctx context.Context, p Policy, who identity.Identity, path string, fields ...string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		resp, err := b.RoundTrip(r, &p, who, b.service)
		if err != nil {
			done <- outcome{err: err}
			return
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		from := resp.Header.Get("Cache-Status")
		done <- outcome{resp.StatusCode, string(body), from, strings.Contains(from, "collapsed"), err}
	}()
	synctest.Wait()
	return done
}

func TestIdenticalReadsShareACall(t *testing.T) {
	t.Parallel()

	for name, p := range map[string]Policy{"kept": minute, "always asked": always} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			inBubble(t, func(t *testing.T, b *slowBench) {
				var all []<-chan outcome
				for range 10 {
					all = append(all, b.begin(t.Context(), p, ann, "/toys"))
				}
				other := b.begin(t.Context(), p, bob, "/toys")
				fresh := b.begin(t.Context(), p, ann, "/toys", "Cache-Control: no-cache")
				require.Equal(t, 3, b.service.calls())
				close(b.let)
				collapsed := 0
				for _, one := range all {
					o := <-one
					require.NoError(t, o.err)
					require.Equal(t, "toys", o.body)
					if o.collapsed {
						collapsed++
					}
				}
				require.Equal(t, 9, collapsed)
				require.False(t, (<-other).collapsed, "others' reads are not identical") // CAT-3
				require.False(t, (<-fresh).collapsed)
				require.EqualValues(t, 9, b.Report().Collapsed)
				require.EqualValues(t, 3, b.Report().Misses)
			})
		})
	}
}

func TestACallGoesOnWhenItsCallerLeaves(t *testing.T) {
	t.Parallel()

	inBubble(t, func(t *testing.T, b *slowBench) {
		leaving, leave := context.WithCancel(t.Context())
		leader := b.begin(leaving, minute, ann, "/toys")
		follower := b.begin(t.Context(), minute, ann, "/toys")
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := b.begin(impatient, minute, ann, "/toys")
		leave()
		require.ErrorIs(t, (<-leader).err, context.Canceled)
		require.ErrorIs(t, (<-second).err, context.DeadlineExceeded)
		close(b.let)
		require.Equal(t, "toys", (<-follower).body)
		require.Equal(t, 1, b.service.calls())
		require.NotNil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
	})
}

func TestACallThatNobodyEndsIsEnded(t *testing.T) {
	t.Parallel()

	inBubble(t, func(t *testing.T, b *slowBench) {
		began := time.Now()
		o := <-b.begin(t.Context(), minute, ann, "/toys")
		require.ErrorContains(t, o.err, "panic: net/http: abort Handler", "as the service above does; nothing but the read ends")
		require.Equal(t, flightTime, time.Since(began))
		require.Empty(t, b.flights.of)
	})
}

func TestAReadAfterAnInvalidationSharesNoneFromBefore(t *testing.T) { // CAT-4
	t.Parallel()

	for name, raise := range map[string]func(*marks){
		"of the operation":       func(m *marks) { m.raise(minute.Operation) },
		"that may be missed":     (*marks).raiseAll,
		"of several, this among": func(m *marks) { m.raise("a.b " + minute.Operation) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			inBubble(t, func(t *testing.T, b *slowBench) {
				before := b.begin(t.Context(), minute, ann, "/toys")
				raise(&b.marks)
				after := b.begin(t.Context(), minute, ann, "/toys")
				require.Equal(t, 2, b.service.calls())
				b.let <- struct{}{}
				b.let <- struct{}{}
				<-before
				<-after
				b.answers(text("newer"))
				close(b.let)
				require.NotNil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
			})
			inBubble(t, func(t *testing.T, b *slowBench) {
				before := b.begin(t.Context(), minute, ann, "/toys")
				raise(&b.marks)
				close(b.let)
				<-before
				require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"), "what it brought is from before")
			})
		})
	}
}

func TestAFailureIsSharedAndEachFallsBack(t *testing.T) {
	t.Parallel()

	inBubble(t, func(t *testing.T, b *slowBench) {
		leader, follower := b.begin(t.Context(), minute, ann, "/toys"), b.begin(t.Context(), minute, ann, "/toys")
		b.answers(status(http.StatusServiceUnavailable, "problem"))
		b.let <- struct{}{}
		for _, o := range []outcome{<-leader, <-follower} {
			require.Equal(t, http.StatusServiceUnavailable, o.status)
			require.Equal(t, "problem", o.body)
		}
		require.Equal(t, 1, b.service.calls())

		b.answers(text("toys"))
		first := b.begin(t.Context(), minute, ann, "/toys")
		b.let <- struct{}{}
		<-first
		time.Sleep(time.Minute) // the bubble's time
		b.answers(status(http.StatusServiceUnavailable, "problem"))
		leader, follower = b.begin(t.Context(), minute, ann, "/toys"), b.begin(t.Context(), minute, ann, "/toys")
		strict := b.begin(t.Context(), minute, ann, "/toys", "Cache-Control: max-age=30")
		b.let <- struct{}{}
		for _, o := range []outcome{<-leader, <-follower} {
			require.Equal(t, "toys", o.body)
			require.Equal(t, old, o.from)
		}
		require.Equal(t, http.StatusServiceUnavailable, (<-strict).status)
		require.Equal(t, 3, b.service.calls())
	})
}

func TestWhatServesOneAloneIsAskedForByEach(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("x", maxBody+10)
	for name, answer := range map[string]http.HandlerFunc{
		"too long": text(long), "a cookie": text("toys", "Set-Cookie: a=b"), "secret": text("toys", "Cache-Control: no-store"), "not there": status(http.StatusNotFound, "none"),
		"another language": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Accept-Language")
			_, _ = io.WriteString(w, r.Header.Get("Accept-Language"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			inBubble(t, func(t *testing.T, b *slowBench) {
				b.answers(answer)
				leader := b.begin(t.Context(), minute, ann, "/toys", "Accept-Language: da")
				follower := b.begin(t.Context(), minute, ann, "/toys", "Accept-Language: en")
				close(b.let)
				one, two := <-leader, <-follower
				require.NoError(t, one.err)
				require.NoError(t, two.err)
				require.Equal(t, name == "another language", one.body != two.body)
				require.False(t, two.collapsed)
				require.Equal(t, 2, b.service.calls())
				if name == "too long" {
					require.Equal(t, long, one.body)
				}
			})
		})
	}
}

// TestALongAnswerIsNotHeld lets a service send more than is kept, and then nothing until what it sent was read.
func TestALongAnswerIsNotHeld(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer b.store.StopAllGoroutines()
		b.now = time.Now
		body, send := io.Pipe()
		var asked context.Context
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = r.Context()
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body, ContentLength: -1, Request: r}, nil
		})
		ctx, leave := context.WithCancel(t.Context())
		r := request(t, "/toys").WithContext(ctx)
		go func() { _, _ = send.Write(make([]byte, 2*maxBody)) }()
		resp, err := b.RoundTrip(r, &minute, ann, next)
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, 2*maxBody))
		require.NoError(t, err)
		go func() { _, _ = send.Write([]byte("more")) }()
		_, err = io.ReadFull(resp.Body, make([]byte, 4))
		require.NoError(t, err)
		time.Sleep(2 * flightTime) // the bubble's time
		require.NoError(t, asked.Err(), "for as long as the caller reads")
		leave()
		synctest.Wait()
		require.Error(t, asked.Err(), "and no longer")
		require.NoError(t, resp.Body.Close())
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
