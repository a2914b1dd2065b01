package auth

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

type senderKey struct{}

// maxAgent is how much of a User-Agent is kept (bytes).
const maxAgent = 200

type from struct{ address, agent string }

// rememberSender lets operations know where a request comes from.
func rememberSender(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), senderKey{}, from{senderOf(r), agentOf(r)})))
	})
}

// sender returns the network address that a request comes from.
func sender(ctx context.Context) string {
	f, _ := ctx.Value(senderKey{}).(from)
	return f.address
}

// agent returns the program that a request comes from.
func agent(ctx context.Context) string {
	f, _ := ctx.Value(senderKey{}).(from)
	return f.agent
}

func agentOf(r *http.Request) string {
	agent := r.UserAgent()
	return strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
}

// senderOf returns the network address of the client: the first that X-Forwarded-For names, as
// Traefik's public entry point drops what clients write there. Of IPv6 it is the network, as one
// client has 2^64 addresses.
func senderOf(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	first = strings.TrimSpace(first)
	if first == "" {
		first, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	addr, err := netip.ParseAddr(first)
	if err != nil {
		return "unknown"
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		prefix, _ := addr.Prefix(64)
		return prefix.String()
	}
	return addr.String()
}
