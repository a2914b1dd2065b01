package main

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestSettle(t *testing.T) {
	t.Parallel()

	ada := &person{id: uuid.New(), username: "ada"}
	slot, id, operation := time.Date(2030, time.May, 4, 7, 30, 0, 0, time.UTC), uuid.New(), uuid.New()
	there := entry{id: id, patient: ada.id, slot: slot}
	gone := entry{id: id, patient: ada.id, slot: slot, cancelled: true}
	theirs := entry{id: uuid.New(), patient: uuid.New(), slot: slot}
	booked := write{kind: booking, who: ada, slot: slot, accepted: true, appointment: id}
	postponed := func(state string) write {
		return write{kind: booking, who: ada, slot: slot, accepted: true, operation: operation, state: state}
	}

	for name, c := range map[string]struct {
		write   write
		entries []entry
		profile bool
		want    balance
	}{
		"booked":                           {booked, []entry{there}, false, balance{accepted: 1}},
		"booked and not there":             {booked, nil, false, balance{accepted: 1, lost: 1}},
		"booked and somebody else's":       {booked, []entry{theirs}, false, balance{accepted: 1, lost: 1}},
		"booked and another one's":         {booked, []entry{{id: uuid.New(), patient: ada.id, slot: slot}}, false, balance{accepted: 1, lost: 1}},
		"booked and cancelled by nobody":   {booked, []entry{gone}, false, balance{accepted: 1, lost: 1}},
		"booked twice":                     {booked, []entry{there, gone}, false, balance{accepted: 1, doubled: 1}},
		"deferred and done":                {postponed("succeeded"), []entry{there}, false, balance{accepted: 1, deferred: 1}},
		"deferred and said to be done":     {postponed("succeeded"), nil, false, balance{accepted: 1, deferred: 1, lost: 1}},
		"deferred and refused":             {postponed("failed"), nil, false, balance{accepted: 1, deferred: 1, lost: 1}},
		"deferred for ever":                {postponed(""), nil, false, balance{accepted: 1, deferred: 1, lost: 1}},
		"nobody knows, and not done":       {write{kind: booking, who: ada, slot: slot}, nil, false, balance{unknown: 1}},
		"nobody knows, and done":           {write{kind: booking, who: ada, slot: slot}, []entry{there}, false, balance{unknown: 1}},
		"nobody knows, and done twice":     {write{kind: booking, who: ada, slot: slot}, []entry{there, gone}, false, balance{unknown: 1, doubled: 1}},
		"refused":                          {write{kind: booking, who: ada, slot: slot, refused: http.StatusConflict}, nil, false, balance{refused: 1}},
		"registered":                       {write{kind: registration, who: ada, accepted: true}, nil, true, balance{accepted: 1}},
		"registered and forgotten":         {write{kind: registration, who: ada, accepted: true}, nil, false, balance{accepted: 1, lost: 1}},
		"cancelled":                        {write{kind: cancellation, who: ada, slot: slot, accepted: true, appointment: id}, []entry{gone}, false, balance{accepted: 1}},
		"cancelled and there all the same": {write{kind: cancellation, who: ada, slot: slot, accepted: true, appointment: id}, []entry{there}, false, balance{accepted: 1, lost: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := settle([]*write{&c.write}, truth{c.entries, map[uuid.UUID]bool{ada.id: c.profile}})
			require.Len(t, got.wrong, c.want.lost)
			c.want.sent, got.wrong = 1, nil
			require.Equal(t, c.want, got)
		})
	}

	t.Run("a booking that was cancelled is no loss", func(t *testing.T) {
		t.Parallel()
		given := booked
		given.cancelled = true
		require.Zero(t, settle([]*write{&given}, truth{entries: []entry{gone}}).lost)
	})

	t.Run("one that was refused although it is done is named", func(t *testing.T) {
		t.Parallel()
		got := settle([]*write{{kind: booking, who: ada, slot: slot, refused: http.StatusConflict}}, truth{entries: []entry{there}})
		require.Equal(t, []string{"refused although done: booking of 2030-05-04T07:30:00Z by ada"}, got.wrong)
	})
}

func TestWhatEndsAWrite(t *testing.T) {
	t.Parallel()

	id := uuid.New()
	body := `{"id":"` + id.String() + `"}`
	for name, c := range map[string]struct {
		status int
		after  string
		err    error
		body   string
		want   write
		ended  bool
	}{
		"done":                       {status: http.StatusCreated, body: body, want: write{accepted: true, appointment: id}, ended: true},
		"deferred":                   {status: http.StatusAccepted, body: body, want: write{accepted: true, operation: id}, ended: true},
		"refused":                    {status: http.StatusConflict, want: write{refused: http.StatusConflict}, ended: true},
		"the first one still runs":   {status: http.StatusConflict, after: "1"},
		"too many":                   {status: http.StatusTooManyRequests},
		"out":                        {status: http.StatusServiceUnavailable, after: "2"},
		"an answer that broke off":   {status: http.StatusCreated, body: body[:10]},
		"deferred, and it broke off": {status: http.StatusAccepted},
		"nobody":                     {err: errors.New("connection reset")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := &http.Response{StatusCode: c.status, Header: http.Header{}}
			if c.after != "" {
				resp.Header.Set("Retry-After", c.after)
			}
			var w write
			require.Equal(t, c.ended, w.ended(resp, c.err, []byte(c.body)))
			require.Equal(t, c.want, w)
		})
	}
}

func TestWritesThatComeTooLate(t *testing.T) {
	t.Parallel()

	var all writes
	over, ok := all.open(&write{})
	require.True(t, ok)
	go over()
	require.Len(t, all.close(), 1, "waits for those that run")
	_, ok = all.open(&write{})
	require.False(t, ok)
}

func TestWait(t *testing.T) {
	t.Parallel()

	after := func(s string) *http.Response { return &http.Response{Header: http.Header{"Retry-After": {s}}} }
	require.Equal(t, 300*time.Millisecond, wait(nil, 0))
	require.Equal(t, 2*time.Second, wait(after("2"), 0))
	require.Equal(t, 3*time.Second, wait(after("60"), 0))
	require.Equal(t, 3*time.Second, wait(after("soon"), 40))
}
