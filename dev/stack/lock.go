package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock keeps two `up` of one clone from running at once. The kernel frees it when this process ends.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, explain("cannot open "+file, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, Fault{"Another command is starting the stack of this clone", "Wait until it is through."}
	}
	return func() { _ = f.Close() }, nil
}

// claim is the record of which clone has the usual ports.
type claim struct {
	Clone  string `json:"clone"`
	Socket string `json:"socket"`
}

func (s *Stack) claimFile() string { return filepath.Join(s.cache, "running.json") }

func (s *Stack) readClaim() (claim, bool) {
	var c claim
	b, err := os.ReadFile(s.claimFile())
	return c, err == nil && json.Unmarshal(b, &c) == nil
}

// checkOtherClones finds that the stack of another clone is running. A record whose process-compose does
// not answer is left over from a crash and means nothing.
func (s *Stack) checkOtherClones(ctx context.Context) error {
	c, ok := s.readClaim()
	if !ok || c.Socket == s.socket() {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", c.Socket)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return Fault{"The stack of another clone is running: " + c.Clone, fmt.Sprintf("Stop it first: (cd %s && ./task down)", c.Clone)}
}

// claim and unclaim keep the record; it only serves a better message, so their failure is none.
func (s *Stack) claim() {
	b, _ := json.Marshal(claim{s.Root, s.socket()})
	_ = os.WriteFile(s.claimFile(), b, 0o600)
}

func (s *Stack) unclaim() {
	if c, ok := s.readClaim(); ok && c.Socket == s.socket() {
		_ = os.Remove(s.claimFile())
	}
}
