package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/healthe/healthe/openapi/problem"
)

func TestWrite(t *testing.T) {
	t.Parallel()

	var typedNil *problem.Problem
	for name, tt := range map[string]struct {
		err    error
		status int
		header map[string]string
	}{
		"a problem":             {problem.NotFound("Toy"), 404, nil},
		"a wrapped problem":     {fmt.Errorf("toy: %w", problem.NotFound("Toy")), 404, nil},
		"who are you":           {problem.Unauthenticated("Who?"), 401, map[string]string{"WWW-Authenticate": `Bearer realm="healthe"`}},
		"come back later":       {problem.TooManyRequests(1500 * time.Millisecond), 429, map[string]string{"Retry-After": "2"}},
		"a passed deadline":     {context.DeadlineExceeded, 504, nil},
		"our mistake":           {errors.New("secret text"), 500, nil},
		"a nil *Problem":        {typedNil, 500, nil},
		"a problem for a cause": {problem.Unavailable("Mail").Because(errors.New("secret text")), 503, map[string]string{"Retry-After": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			rec := httptest.NewRecorder()
			rec.Header().Set("X-Request-Id", "abc")
			problem.Write(rec, httptest.NewRequest("GET", "/", nil), tt.err)
			var got problem.Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if rec.Code != tt.status || got.Status != tt.status || got.Instance != "urn:request:abc" || got.Type == "" || got.Title == "" {
				t.Errorf("got %d %+v", rec.Code, got)
			}
			if ct := rec.Header().Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("Content-Type %q", ct)
			}
			for k, v := range tt.header {
				if rec.Header().Get(k) != v {
					t.Errorf("%s is %q, not %q", k, rec.Header().Get(k), v)
				}
			}
			if body := rec.Body.String(); strings.Contains(body, "secret") {
				t.Errorf("the cause leaked: %s", body)
			}
		})
	}
}

func TestIs(t *testing.T) {
	t.Parallel()

	taken := problem.Conflict("slot-taken", "Taken.")
	cause := errors.New("unique violation")
	if err := error(taken.Because(cause)); !errors.Is(err, taken) || !errors.Is(err, cause) || errors.Is(err, problem.Conflict("other", "")) {
		t.Error("a copy is not recognised")
	}
}
