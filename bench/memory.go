package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"

	"github.com/healthe/healthe/dev/stack"
)

var resident = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// memory prints what each of our services holds when nobody asks it anything.
func memory(ctx context.Context, s *stack.Stack) error {
	for _, service := range s.Services() { // started anew, so that no load before counts
		if err := s.Restart(ctx, service); err != nil {
			return err
		}
	}
	if err := s.Up(ctx); err != nil { // waits until all are healthy
		return err
	}
	processes, err := s.Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		if !slices.Contains(s.Services(), p.Name) {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			return err
		}
		found := resident.FindSubmatch(status)
		if found == nil {
			return fmt.Errorf("%s: no resident size in /proc", p.Name)
		}
		kib, _ := strconv.Atoi(string(found[1]))
		fmt.Printf("memory of %s at rest: %.0f MiB (at most 40)\n", p.Name, float64(kib)/1024)
	}
	return nil
}
