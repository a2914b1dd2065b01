package mailing

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

const smtpTimeout = 10 * time.Second // to connect, and for the whole of a mail

// errRefused says that the mail server will never take this mail.
var errRefused = errors.New("the mail server refuses it for good")

// sender hands mails to the next mail server.
type sender struct {
	client *gomail.Client
	from   *mail.Address
	domain string // of the Message-ID
}

// envelope is one mail on its way to one recipient.
type envelope struct {
	id          uuid.UUID // the delivery: the same for each try, so that a receiver can tell a second copy
	to          mail.Address
	date        time.Time
	content     content
	attachments []store.Attachment
}

// newSender reads smtp://user:password@host:port?tls=none|starttls|require, or smtps:// for TLS from the first byte.
// `starttls` uses TLS where the server offers it, `require` refuses to go without.
func newSender(address config.Secret, from string, trust *tls.Config) (*sender, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		return nil, errors.New("SMTP_URL must be smtp://user:password@host:port?tls=none|starttls|require, or the same with smtps://")
	}
	sendFrom, err := mail.ParseAddress(from)
	if err != nil || !validAddress(sendFrom.Address) {
		return nil, errors.New("MAIL_FROM must be an address, such as Healthe <no-reply@example.org>")
	}
	options, err := smtpOptions(u)
	if err != nil {
		return nil, err
	}
	if trust != nil {
		trust = trust.Clone()
		trust.ServerName = u.Hostname()
		options = append(options, gomail.WithTLSConfig(trust))
	}
	client, err := gomail.NewClient(u.Hostname(), options...)
	if err != nil {
		return nil, fmt.Errorf("SMTP_URL: %w", err)
	}
	_, domain, _ := strings.Cut(sendFrom.Address, "@")
	return &sender{client, sendFrom, domain}, nil
}

func smtpOptions(u *url.URL) ([]gomail.Option, error) {
	options := []gomail.Option{gomail.WithTimeout(smtpTimeout), gomail.WithoutNoop()}
	switch mode := u.Query().Get("tls"); {
	case u.Scheme == "smtps":
		options = append(options, gomail.WithSSL())
	case mode == "none":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case mode == "starttls" || mode == "":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case mode == "require":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		return nil, errors.New("SMTP_URL: tls is none, starttls or require")
	}
	if u.Port() != "" {
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, errors.New("SMTP_URL: the port is no number")
		}
		options = append(options, gomail.WithPort(port))
	}
	if password, ok := u.User.Password(); ok { // never in clear text over an open line: go-mail picks a method that fits
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	return options, nil
}

// encrypted says whether no mail goes out over an open line.
func encrypted(address config.Secret) bool {
	u, err := url.Parse(address.Reveal())
	return err == nil && (u.Scheme == "smtps" || u.Query().Get("tls") == "require")
}

// send hands one mail over. A nil error means that the server took it and answers for it from now on; errRefused that no
// further try is worth while.
func (s *sender) send(ctx context.Context, e envelope) error {
	msg, err := s.message(e)
	if err != nil {
		return errors.Join(errRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, smtpTimeout)
	defer cancel()
	client, err := s.client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return withoutText(err)
	}
	defer func() { _ = s.client.CloseWithSMTPClient(client) }() // says QUIT; what it answers changes nothing
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	return s.handOver(client, msg)
}

func (s *sender) handOver(client *smtp.Client, msg *gomail.Msg) error {
	err := s.client.SendWithSMTPClient(client, msg)
	if err == nil || msg.IsDelivered() { // taken: what fails after the server's 250 must not send it again
		return nil
	}
	if failure, ok := errors.AsType[*gomail.SendError](err); ok && failure.ErrorCode() >= 500 {
		return errors.Join(errRefused, withoutText(err))
	}
	return withoutText(err)
}

func (s *sender) message(e envelope) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := msg.FromFormat(s.from.Name, s.from.Address); err != nil {
		return nil, errors.New("sender address")
	}
	if err := msg.AddToFormat(oneLine(e.to.Name), e.to.Address); err != nil {
		return nil, errors.New("recipient address")
	}
	msg.Subject(oneLine(e.content.Subject))
	msg.SetDateWithValue(e.date)
	msg.SetMessageIDWithValue(e.id.String() + "@" + s.domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office answers
	msg.SetBodyString(gomail.TypeTextPlain, e.content.Text)
	if e.content.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, e.content.HTML)
	}
	for _, a := range e.attachments {
		err := msg.AttachReader(a.Name, bytes.NewReader(a.Content), gomail.WithFileContentType(gomail.ContentType(mediaType(a.ContentType))))
		if err != nil {
			return nil, errors.New("attachment")
		}
	}
	return msg, nil
}

// mediaType adds the character set that text without one would be guessed.
func mediaType(contentType string) string {
	if strings.HasPrefix(contentType, "text/") {
		return contentType + "; charset=utf-8"
	}
	return contentType
}

// withoutText keeps of a failure what an operator needs. The server's own words may quote the address.
func withoutText(err error) error {
	if failure, ok := errors.AsType[*gomail.SendError](err); ok {
		return fmt.Errorf("smtp: %s, code %d", failure.Reason, failure.ErrorCode())
	}
	return fmt.Errorf("smtp: %w", err)
}
