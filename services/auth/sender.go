package auth

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

type senderKey struct{}

// rememberSender lets operations count tries by where they come from.
func rememberSender(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), senderKey{}, senderOf(r))))
	})
}

func sender(ctx context.Context) string {
	s, _ := ctx.Value(senderKey{}).(string)
	return s
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
