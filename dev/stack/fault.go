package stack

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Fault is something wrong with this machine, in the words of the person in front of it.
type Fault struct {
	Problem string // what is wrong
	Remedy  string // what to do about it
}

func (f Fault) Error() string { return strings.TrimSuffix(f.Problem, ".") + ". " + f.Remedy }

// explain puts what the operating system said into words where it is known what to do.
func explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), strings.Contains(err.Error(), "no space left on device"):
		return Fault{"The disk is full: " + doing, "Free some space, then run the command again."}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return Fault{"No permission: " + doing + " (" + err.Error() + ")", "Make the folder yours, or run as its owner."}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
