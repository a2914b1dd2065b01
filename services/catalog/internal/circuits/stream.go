package circuits

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	api "github.com/healthe/healthe/openapi/catalog"
)

const (
	retry      = "retry: 1000\n\n"  // milliseconds, until a client comes back
	heartbeat  = 2 * time.Second    // of silence
	unread     = 10 * time.Second   // that a client may leave an event
	watchAtAll = 5 * time.Minute    // then it comes back and says anew who it is, for it may have lost the right to watch
	alive      = ": still here\n\n" // a comment
)

// frame is what is sent of one second: made once, for all who watch, and only if someone does. Who is slow misses some
// and gets the latest; nothing waits for them in memory.
type frame struct {
	text func() []byte
	over chan struct{} // closed when there is a later one
}

func newFrame(text func() []byte) *frame {
	f := &frame{over: make(chan struct{})}
	if text != nil {
		f.text = sync.OnceValue(text)
	}
	return f
}

func (c *Circuits) current() *frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest
}

// events are the numbers, as listCircuits answers them, and the page drawn from them.
func (c *Circuits) events(s snapshot, history []sample) []byte {
	data, err := json.Marshal(s.Circuits)
	if err != nil {
		slog.Error("circuits not encoded", "error", err) // no number of ours is infinite
		return []byte(alive)
	}
	var out bytes.Buffer
	event(&out, "circuits", data)
	var drawn bytes.Buffer
	if err := c.sheet.draw(&drawn, "live", viewOf(s, history)); err != nil {
		slog.Error("circuits not drawn", "error", err)
		return out.Bytes()
	}
	event(&out, "page", drawn.Bytes())
	return out.Bytes()
}

func event(out *bytes.Buffer, name string, data []byte) {
	out.WriteString("event: " + name)
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out.WriteString("\ndata: ")
			out.Write(line)
		}
	}
	out.WriteString("\n\n")
}

// WatchCircuits answers with a stream of what all instances see, once a second.
func (c *Circuits) WatchCircuits(ctx context.Context, _ api.WatchCircuitsRequestObject) (api.WatchCircuitsResponseObject, error) {
	return stream{c, c.Life(ctx)}, nil
}

type stream struct {
	*Circuits
	life context.Context //nolint:containedctx // the generated server passes none on
}

// VisitWatchCircuitsResponse writes events until the stream's life ends or nobody reads them.
func (s stream) VisitWatchCircuitsResponse(w http.ResponseWriter) error {
	s.watchers.Add(1)
	defer s.watchers.Add(-1)
	ctx, cancel := context.WithTimeout(s.life, watchAtAll)
	defer cancel()
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // that of the request, which would end the connection in the middle of the stream
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	send := func(text []byte) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(unread))
		_, err := w.Write(text)
		return err == nil && rc.Flush() == nil
	}
	f, opening := s.current(), []byte(retry)
	if f.text != nil {
		opening = append(opening, f.text()...)
	}
	for going := send(opening); going; {
		select {
		case <-ctx.Done():
			return nil
		case <-f.over:
			f = s.current()
			going = send(f.text())
		case <-time.After(heartbeat):
			going = send([]byte(alive))
		}
	}
	return nil // who does not read is told nothing
}
