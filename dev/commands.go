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

// fill runs what SERVICE has for making up data, services/<SERVICE>/cmd/seed, on its database in the running stack.
func fill(ctx context.Context, s *stack.Stack) error {
	service := os.Getenv("SERVICE")
	program := "./" + filepath.Join("services", service, "cmd", "seed")
	if _, err := os.Stat(filepath.Join(s.Root, program)); service == "" || err != nil {
		return stack.Fault{Problem: "No data can be made up for " + or(service, "no service"), Remedy: "For example: ./task seed SERVICE=forum POSTS=10000"}
	}
	if !s.Running(ctx) {
		return stack.Fault{Problem: "Nothing of this clone is running", Remedy: "./task up starts it."}
	}
	built := filepath.Join(s.Root, ".bin", service+"-seed")
	build := exec.CommandContext(ctx, "go", "build", "-o", built, program)
	build.Dir, build.Stderr = s.Root, os.Stderr
	if err := build.Run(); err != nil {
		return passOn(err)
	}
	cmd := exec.CommandContext(ctx, built)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+s.DatabaseURL(service))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it undoes what it has begun
	return passOn(cmd.Run())
}

// passOn leaves the word to a command that has said why it failed.
func passOn(err error) error {
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitCode(failed.ExitCode())
	}
	return err
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
	return passOn(cmd.Run())
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
