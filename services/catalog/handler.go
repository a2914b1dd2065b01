package catalog

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/problem"
)

// coreServices are those whose public operations are served here.
var coreServices = []string{"appointment", "auth", "mailing"}

// gateway finds the service that a path belongs to: its first part.
type gateway map[string]http.Handler

func newHandler(target *url.URL, schemes contract.Schemes, p policy) (http.Handler, error) {
	all := gateway{}
	for _, name := range coreServices {
		proxy, err := newProxy(newUpstream(name, p), target, schemes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = proxy
	}
	return all, nil
}

func (g gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	next, ok := g[name]
	if !ok {
		problem.Write(w, r, problem.NotFound("Path"))
		return
	}
	next.ServeHTTP(w, r)
}
