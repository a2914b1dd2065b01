package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/healthe/healthe/dev/stack"
)

// logLines is how many of the last lines of each log are shown.
const logLines = 200

// logs prints the end of the logs; a person at a terminal then sees what comes, until Ctrl-C.
func logs(ctx context.Context, s *stack.Stack) error {
	service := os.Getenv("SERVICE")
	pattern := s.LogFile(or(service, "*"))
	chosen, _ := filepath.Glob(pattern)
	if replicas, _ := filepath.Glob(pattern + ".*"); service == "" || len(chosen) > 0 {
		chosen = append(chosen, replicas...)
	}
	if len(chosen) == 0 {
		return stack.Fault{Problem: "There is no log of " + or(service, "anything"), Remedy: "./task ps lists what there is; ./task up starts it."}
	}
	end := map[string]int64{}
	for _, f := range chosen {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		end[f] = int64(len(b))
		lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		show(f, len(chosen) > 1, strings.Join(lines[max(0, len(lines)-logLines):], "\n"))
	}
	info, err := os.Stdout.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(300 * time.Millisecond):
		}
		for _, f := range chosen {
			follow(f, len(chosen) > 1, end)
		}
	}
}

// follow shows what was added to a file since the last look.
func follow(file string, named bool, end map[string]int64) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() < end[file] {
		end[file] = 0 // rotated
	}
	_, _ = f.Seek(end[file], io.SeekStart)
	b, _ := io.ReadAll(f)
	end[file] += int64(len(b))
	show(file, named, strings.TrimRight(string(b), "\n"))
}

func show(file string, named bool, text string) {
	if text == "" {
		return
	}
	name := strings.Replace(filepath.Base(file), ".log", "", 1)
	for line := range strings.SplitSeq(text, "\n") {
		if named {
			fmt.Printf("%-12s| %s\n", name, line)
		} else {
			fmt.Println(line)
		}
	}
}

// withPostgres is for tests on a machine without TEST_DATABASE_URL.
func withPostgres(ctx context.Context, s *stack.Stack) error {
	if len(os.Args) < 3 {
		return stack.Fault{Problem: "with-postgres needs a command", Remedy: "For example: dev with-postgres go test ./..."}
	}
	cmd := exec.CommandContext(ctx, os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if os.Getenv("TEST_DATABASE_URL") == "" {
		url, stop, err := s.TestPostgres(ctx)
		if err != nil {
			return err
		}
		defer stop()
		cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+url)
	}
	err := cmd.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitCode(failed.ExitCode())
	}
	return err
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
