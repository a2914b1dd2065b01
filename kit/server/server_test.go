package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/registry"
	"github.com/healthe/healthe/kit/telemetry"
)

func TestWrap(t *testing.T) {
	t.Parallel()

	do := func(t *testing.T, h http.HandlerFunc, header http.Header) *http.Response {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = header
		rec := httptest.NewRecorder()
		Wrap(h).ServeHTTP(rec, r)
		return rec.Result()
	}

	t.Run("keeps a sound request id", func(t *testing.T) {
		t.Parallel()

		var seen string
		resp := do(t, func(_ http.ResponseWriter, r *http.Request) { seen = telemetry.FromContext(r.Context()).ID },
			http.Header{"X-Request-Id": {"0190b8a2-0000-7000"}})
		require.Equal(t, "0190b8a2-0000-7000", resp.Header.Get("X-Request-Id"))
		require.Equal(t, "0190b8a2-0000-7000", seen)
	})

	t.Run("replaces one that would spoil the log", func(t *testing.T) {
		t.Parallel()

		resp := do(t, func(http.ResponseWriter, *http.Request) {}, http.Header{"X-Request-Id": {"a\" evil=\"b"}})
		require.Regexp(t, soundRequestID, resp.Header.Get("X-Request-Id"))
	})

	t.Run("answers for a panic and says nothing of it", func(t *testing.T) {
		t.Parallel()

		resp := do(t, func(http.ResponseWriter, *http.Request) { panic("patient 7 has measles") }, nil)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, 500, resp.StatusCode)
		require.Contains(t, string(body), "/internal")
		require.NotContains(t, string(body), "measles")
	})

	t.Run("hangs up on half an answer", func(t *testing.T) {
		t.Parallel()

		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			do(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half")
				panic("broken")
			}, nil)
		})
	})

	t.Run("sets a deadline", func(t *testing.T) {
		t.Parallel()

		do(t, func(_ http.ResponseWriter, r *http.Request) {
			deadline, ok := r.Context().Deadline()
			require.True(t, ok)
			require.WithinDuration(t, time.Now().Add(requestTimeout), deadline, time.Second)
		}, nil)
	})
}

func TestServe(t *testing.T) {
	t.Parallel()

	t.Run("lets the requests at hand finish, then stops its background work", func(t *testing.T) {
		t.Parallel()

		begun, release, order := make(chan struct{}), make(chan struct{}), make(chan string, 2)
		svc := &Service{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(begun)
				<-release
				order <- "request"
				_, _ = io.WriteString(w, "done")
			}),
			Background: []func(context.Context) error{func(ctx context.Context) error {
				<-ctx.Done()
				order <- "background"
				return nil
			}},
		}
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		cfg := Config{Host: "127.0.0.1", AdvertiseHost: "127.0.0.1"}
		cfg.Port = freePort(t)
		url := "http://127.0.0.1:" + strconv.Itoa(cfg.Port)
		go func() {
			stopped <- svc.serve(ctx, cfg, registry.Instance{Service: "toy", ID: "1"}, http.NotFoundHandler())
		}()
		require.Eventually(t, func() bool { return status(url+"/readyz") == 200 }, 10*time.Second, 10*time.Millisecond)
		answer := make(chan string)
		go func() {
			resp, err := http.Get(url + "/work")
			if err != nil {
				answer <- err.Error()
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			answer <- string(body)
		}()
		<-begun
		stop()
		close(release)
		require.Equal(t, "done", <-answer)
		require.NoError(t, <-stopped)
		require.Equal(t, "request", <-order)
		require.Equal(t, "background", <-order)
	})

	t.Run("ends when its background work fails", func(t *testing.T) {
		t.Parallel()

		broken := errors.New("broken")
		svc := &Service{Handler: http.NotFoundHandler(), Background: []func(context.Context) error{
			func(context.Context) error { return broken },
		}}
		err := svc.serve(t.Context(), Config{Host: "127.0.0.1", AdvertiseHost: "127.0.0.1"}, registry.Instance{}, http.NotFoundHandler())
		require.ErrorIs(t, err, broken)
	})

	t.Run("says that it is not ready, as a problem", func(t *testing.T) {
		t.Parallel()

		svc := &Service{Handler: http.NotFoundHandler(), Ready: func(context.Context) error { return errors.New("no database at 10.0.0.7") }}
		rec := httptest.NewRecorder()
		svc.routes(t.Context()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		require.Equal(t, 503, rec.Code)
		require.NotContains(t, rec.Body.String(), "10.0.0.7")
		require.Equal(t, "1", rec.Header().Get("Retry-After"))
		require.True(t, strings.HasPrefix(rec.Header().Get("Content-Type"), "application/problem+json"))
	})
}

func TestRoutesLeavePathsAsTheyAre(t *testing.T) {
	t.Parallel()

	svc := &Service{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })}
	for _, path := range []string{"/a/../b", "//a", "/a/./b", "/livez/", "/readyz/x"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		rec := httptest.NewRecorder()
		svc.routes(t.Context()).ServeHTTP(rec, r)
		require.Equal(t, http.StatusTeapot, rec.Code, path)
	}
}
