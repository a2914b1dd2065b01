package auth

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const (
	minPassword = 10 // characters
	maxPassword = 72 // bytes: bcrypt reads no more
	// sessionCap is how long a session can be extended after the log-in.
	sessionCap = 30 * 24 * time.Hour
)

var (
	errDecided   = problem.Conflict("role-request-decided", "This request was decided already.")
	errOwn       = problem.Forbidden("Nobody decides on a request of their own.")
	errTooOld    = problem.Conflict("session-too-old", "A session can be extended for 30 days after the log-in; log in again.")
	weakPassword = problem.New(http.StatusBadRequest, "weak-password", "Weak password", "The password is too easy to guess.")
)

//go:embed passwords.txt
var passwordList string

// common are the passwords that everyone tries.
var common = sync.OnceValue(func() map[string]struct{} {
	all := map[string]struct{}{}
	for line := range strings.Lines(passwordList) {
		if !strings.HasPrefix(line, "#") {
			all[strings.TrimSpace(line)] = struct{}{}
		}
	}
	return all
})

// checkPassword refuses a password that is easy to guess. about is what others know of the
// person: username, address, name. pointer says where the password is in the request.
func checkPassword(password, pointer string, about ...string) error {
	if reason := weakness(password, about); reason != "" {
		p := *weakPassword
		p.Errors = []problem.Field{{Pointer: pointer, Detail: reason}}
		return &p
	}
	return nil
}

func weakness(password string, about []string) string {
	lower := strings.ToLower(password)
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return "Use at least 10 characters."
	case len(password) > maxPassword:
		return "Use at most 72 bytes."
	case distinct(lower) < 5:
		return "Use more different characters."
	case isRun(lower):
		return "Do not use a row of keys, letters or digits."
	case isCommon(lower):
		return "This is one of the passwords that everyone tries."
	case resembles(lower, about):
		return "Do not use your username, your address or your name."
	}
	return ""
}

func distinct(s string) int {
	runes := []rune(s)
	slices.Sort(runes)
	return len(slices.Compact(runes))
}

// isRun tells whether s is (a part of) a row, forwards or backwards, over and over.
func isRun(s string) bool {
	for _, row := range []string{"1234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiop", "azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn", "1q2w3e4r5t6y7u8i9o0p"} {
		long := strings.Repeat(row, 1+len(s)/len(row)+1)
		if strings.Contains(long, s) || strings.Contains(reverse(long), s) {
			return true
		}
	}
	return false
}

// isCommon tells whether s is a common password, also when it is written twice, with digits
// and signs around it, or with signs that look like its letters.
func isCommon(s string) bool {
	for _, form := range []string{s, plain.Replace(s)} {
		core := strings.TrimFunc(form, func(r rune) bool { return !unicode.IsLetter(r) })
		if len(core) < 4 && len(form) < 16 {
			return true // little but digits and signs
		}
		for _, candidate := range []string{form, core, once(form), once(core)} {
			if _, found := common()[candidate]; found && len(candidate) >= 4 {
				return true
			}
		}
	}
	return false
}

// plain undoes the usual disguises of letters.
var plain = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// once returns the part that s repeats, and s if it repeats none.
func once(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return s[:n]
		}
	}
	return s
}

func resembles(s string, about []string) bool {
	for _, known := range about {
		local, _, _ := strings.Cut(strings.ToLower(known), "@")
		for _, part := range append(strings.FieldsFunc(local, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), local) {
			// Short parts are in many good passwords by chance.
			if len(part) >= 4 && 2*len(part) >= len(s)-4 && (strings.Contains(s, part) || strings.Contains(s, reverse(part))) {
				return true
			}
		}
	}
	return false
}

func reverse(s string) string {
	runes := []rune(s)
	slices.Reverse(runes)
	return string(runes)
}

// checkExtend refuses to extend a session for ever.
func checkExtend(loggedIn, now time.Time) error {
	if now.Sub(loggedIn) > sessionCap {
		return errTooOld
	}
	return nil
}

// checkDecide says whether reviewer may approve or refuse r.
func checkDecide(r store.RoleRequest, reviewer string, version *int32) error {
	switch {
	case r.UserID.String() == reviewer:
		return errOwn
	case version != nil && *version != r.Version:
		return problem.PreconditionFailed()
	case r.Status != store.RoleRequestStatusOpen:
		return errDecided
	}
	return nil
}

// fold makes usernames and addresses that differ in case only the same.
func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
