package mailing

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// smtpServer is a mail server as far as a sender can see: it offers STARTTLS and AUTH if it is told to, and answers
// what it is told to answer.
type smtpServer struct {
	addr  string
	tls   *tls.Config
	login string // user:password that it wants, "" for none

	mu      sync.Mutex
	ln      net.Listener
	conns   []net.Conn
	replies map[string][]string // by command: what it says instead of yes, one after the other; the last one stays
	mails   []received
	began   int // how often DATA began
}

// received is one mail that the server took.
type received struct {
	to        string
	encrypted bool
	user      string
	raw       string
}

func newSMTPServer(t *testing.T) *smtpServer {
	t.Helper()
	s := &smtpServer{addr: "127.0.0.1:0", replies: map[string][]string{}}
	s.up(t)
	t.Cleanup(s.down)
	return s
}

// up starts listening, at the same address as before.
func (s *smtpServer) up(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", s.addr)
	require.NoError(t, err)
	s.mu.Lock()
	s.ln, s.addr = ln, ln.Addr().String()
	s.mu.Unlock()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			go s.serve(conn)
		}
	}()
}

// down refuses connections and cuts those that there are.
func (s *smtpServer) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.ln.Close()
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// says makes the server answer a command with these replies; an empty one means as usual.
func (s *smtpServer) says(command string, replies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[command] = replies
}

func (s *smtpServer) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func (s *smtpServer) reply(command, usual string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.replies[command]
	if len(queue) == 0 {
		return usual
	}
	if len(queue) > 1 {
		s.replies[command] = queue[1:]
	}
	if queue[0] == "" {
		return usual
	}
	return queue[0]
}

func (s *smtpServer) serve(conn net.Conn) {
	defer conn.Close()
	var mail received
	text := textproto.NewConn(conn)
	say := func(line string) { _ = text.PrintfLine("%s", line) }
	say("220 test ESMTP")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		command, rest, _ := strings.Cut(line, " ")
		switch command = strings.ToUpper(command); command {
		case "EHLO":
			say("250-test")
			if s.tls != nil && !mail.encrypted {
				say("250-STARTTLS")
			}
			if s.login != "" && mail.encrypted {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			secure := tls.Server(conn, s.tls)
			if secure.Handshake() != nil {
				return
			}
			mail.encrypted, text = true, textproto.NewConn(secure)
		case "AUTH":
			_, given, _ := strings.Cut(rest, " ")
			plain, _ := base64.StdEncoding.DecodeString(given)
			user := strings.Join(strings.Split(string(plain), "\x00")[1:], ":")
			if user != s.login {
				say("535 wrong")
				continue
			}
			mail.user, _, _ = strings.Cut(user, ":")
			say("235 welcome")
		case "MAIL":
			say(s.reply(command, "250 ok"))
		case "RCPT":
			mail.to = strings.Trim(strings.TrimPrefix(rest, "TO:"), "<>")
			say(s.reply(command, "250 ok"))
		case "DATA":
			s.mu.Lock()
			s.began++
			s.mu.Unlock()
			answer := s.reply(command, "354 go on")
			if say(answer); !strings.HasPrefix(answer, "354") {
				continue
			}
			body, err := io.ReadAll(text.DotReader())
			if err != nil {
				return
			}
			answer = s.reply("END", "250 taken")
			if strings.HasPrefix(answer, "250") {
				mail.raw = string(body)
				s.mu.Lock()
				s.mails = append(s.mails, mail)
				s.mu.Unlock()
			}
			if strings.HasSuffix(answer, "drop") {
				return
			}
			say(answer)
		case "QUIT":
			say("221 bye")
			return
		default:
			say(s.reply(command, "250 ok"))
		}
	}
}

// secure gives the server a certificate, and returns who trusts it.
func (s *smtpServer) secure(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// header returns a header of the mail, decoded.
func (r received) header(t *testing.T, name string) string {
	t.Helper()
	msg, err := mail.ReadMessage(bufio.NewReader(strings.NewReader(r.raw)))
	require.NoError(t, err)
	decoded, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get(name))
	require.NoError(t, err)
	return decoded
}

// parts returns the mail's parts, decoded, by content type or, for attachments, by file name.
func (r received) parts(t *testing.T) map[string]string {
	t.Helper()
	msg, err := mail.ReadMessage(bufio.NewReader(strings.NewReader(r.raw)))
	require.NoError(t, err)
	all := map[string]string{}
	collect(t, all, textproto.MIMEHeader(msg.Header), msg.Body)
	return all
}

func collect(t *testing.T, all map[string]string, header textproto.MIMEHeader, body io.Reader) {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	require.NoError(t, err)
	if strings.HasPrefix(mediaType, "multipart/") {
		reader := multipart.NewReader(body, params["boundary"])
		for {
			part, err := reader.NextRawPart()
			if err == io.EOF {
				return
			}
			require.NoError(t, err)
			collect(t, all, part.Header, part)
		}
	}
	switch header.Get("Content-Transfer-Encoding") {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	if _, p, err := mime.ParseMediaType(header.Get("Content-Disposition")); err == nil && p["filename"] != "" {
		mediaType = p["filename"]
	}
	all[mediaType] = string(text)
}

func (s *smtpServer) url(query string) string { return fmt.Sprintf("smtp://%s%s", s.addr, query) }
