package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	unsaid     = time.Duration(-1)
	maxSeconds = 1 << 31 // RFC 9111, 1.2.2
)

// directives are what Cache-Control says, of a request or an answer (RFC 9111, 5.2; RFC 5861). One that is given for some
// fields only counts for the whole.
type directives struct {
	noCache, noStore, private, mustRevalidate, onlyIfCached bool
	maxAge, sMaxAge, minFresh, staleIfError                 time.Duration // unsaid where they are not given
}

func parse(lines []string) directives {
	d := directives{maxAge: unsaid, sMaxAge: unsaid, minFresh: unsaid, staleIfError: unsaid}
	for _, line := range lines {
		for line != "" {
			var one string
			one, line = cut(line)
			name, value, _ := strings.Cut(one, "=")
			d.add(strings.ToLower(strings.TrimSpace(name)), strings.Trim(value, " \t\""))
		}
	}
	return d
}

// cut splits off what is before the first comma that is not within quotes.
func cut(line string) (first, rest string) {
	quoted := false
	for i := range len(line) {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return line[:i], line[i+1:]
			}
		}
	}
	return line, ""
}

func (d *directives) add(name, value string) {
	switch name {
	case "no-cache":
		d.noCache = true
	case "no-store":
		d.noStore = true
	case "private":
		d.private = true
	case "must-revalidate", "proxy-revalidate":
		d.mustRevalidate = true
	case "only-if-cached":
		d.onlyIfCached = true
	case "max-age":
		shortest(&d.maxAge, value)
	case "s-maxage":
		shortest(&d.sMaxAge, value)
	case "min-fresh":
		shortest(&d.minFresh, value)
	case "stale-if-error":
		shortest(&d.staleIfError, value)
	}
}

// shortest sets d to value unless something shorter was said before. What is no number is nothing.
func shortest(d *time.Duration, value string) {
	if v := max(0, seconds(value)); *d == unsaid || v < *d {
		*d = v
	}
}

// seconds reads a number of seconds; unsaid if it is none.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err != nil && strings.Trim(s, "0123456789") == "" && s != "":
		n = maxSeconds
	case err != nil:
		return unsaid
	}
	return time.Duration(min(n, maxSeconds)) * time.Second
}

// accept tells whether whoever asks takes an answer of that age, which lives so long.
func (d *directives) accept(age, lifetime time.Duration) bool {
	return (d.maxAge == unsaid || age <= d.maxAge && d.maxAge > 0) && (d.minFresh == unsaid || lifetime-age >= d.minFresh)
}

// lifetimeOf is for how long an answer is fresh: as its service says, if that is shorter than ttl.
func lifetimeOf(d directives, h http.Header, ttl time.Duration, shared bool) time.Duration {
	switch {
	case d.noCache:
		return 0
	case shared && d.sMaxAge != unsaid:
		return min(ttl, d.sMaxAge)
	case d.maxAge != unsaid:
		return min(ttl, d.maxAge)
	}
	said, ok := h["Expires"]
	if !ok {
		return ttl
	}
	expires, err := http.ParseTime(said[0])
	date, bad := http.ParseTime(h.Get("Date"))
	if err != nil || bad != nil {
		return 0
	}
	return max(0, min(ttl, expires.Sub(date)))
}
