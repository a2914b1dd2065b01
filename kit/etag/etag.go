// Package etag turns row versions into entity tags and back (RFC 9110, 8.8.3).
package etag

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/healthe/healthe/openapi/problem"
)

// Of returns the strong entity tag of a version, `"v3"`.
func Of(version int32) string { return fmt.Sprintf(`"v%d"`, version) }

// Version returns the version that If-Match asks for: nil when the caller asks for none,
// by sending no header or `*`. A tag that was never ours matches nothing: 412.
func Version(ifMatch *string) (*int32, error) {
	if ifMatch == nil || strings.TrimSpace(*ifMatch) == "*" {
		return nil, nil
	}
	digits, ok := strings.CutPrefix(strings.TrimSpace(*ifMatch), `"v`)
	digits, closed := strings.CutSuffix(digits, `"`)
	n, err := strconv.ParseInt(digits, 10, 32)
	if !ok || !closed || err != nil {
		return nil, problem.PreconditionFailed()
	}
	return new(int32(n)), nil
}
