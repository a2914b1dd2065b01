package journey

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/oapi-codegen/runtime/types"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	healthe "github.com/healthe/healthe/sdk/go"
)

// person is somebody with an account.
type person struct {
	name, username, email, password string
	*healthe.Client                 // logged in
}

// signUp makes an account, proves the address by the code in the mail, and logs in.
func (s *story) signUp(name, given string) (*person, error) {
	username := given + "-" + s.tag
	p := &person{name: name, username: username, email: username + "@example.com", password: "a-Long-" + s.tag + "-walk-" + given}
	visitor, err := healthe.New(s.URL, s.Options...)
	if err != nil {
		return nil, err
	}
	challenge, err := healthe.Accepted(visitor.Auth.SignUpWithResponse(s.ctx, auth.NewAccount{
		Username: p.username, Email: p.email, Name: p.name, Password: p.password,
	}))
	if err != nil {
		return nil, failed("sign up", err)
	}
	s.tell(given, "signs up", "as %s", p.email)

	mail, err := s.mail.find(s.ctx, p.email, "Confirm your mail address")
	if err != nil {
		return nil, err
	}
	code, err := mail.code()
	if err != nil {
		return nil, err
	}
	if err := healthe.Done(visitor.Auth.ConfirmVerificationWithResponse(s.ctx, challenge.ID, auth.Code{Code: code})); err != nil {
		return nil, failed("verify", err)
	}
	s.tell(given, "reads the code out of the mail", "%s, and the address is verified", code)
	if err := p.logIn(s); err != nil {
		return nil, err
	}
	s.tell(given, "logs in", "and gets a session token")
	return p, nil
}

// logIn starts a session, with the roles of this moment.
func (p *person) logIn(s *story) error {
	visitor, err := healthe.New(s.URL, s.Options...)
	if err != nil {
		return err
	}
	session, err := healthe.OK(visitor.Auth.LogInWithResponse(s.ctx, auth.Credentials{Identifier: p.username, Password: p.password}))
	if err != nil {
		return failed("log in as "+p.username, err)
	}
	options := slices.Concat(s.Options, []healthe.Option{healthe.WithSessionToken(session.SessionToken)})
	p.Client, err = healthe.New(s.URL, options...)
	return err
}

// fillIn makes the profile that booking needs.
func (p *person) fillIn(ctx context.Context, phone string) error {
	_, err := healthe.Created(p.Appointment.CreatePatientWithResponse(ctx, nil, appointment.NewPatient{
		Name: p.name, Phone: phone, Gender: appointment.Female,
		BirthDate: types.Date{Time: time.Date(1990, time.December, 10, 0, 0, 0, 0, time.UTC)},
	}))
	return failed("patient profile", err)
}

func (s *story) adaSignsUp() (err error) {
	if s.ada, err = s.signUp("Ada Park", "ada"); err != nil {
		return err
	}
	if err := s.ada.fillIn(s.ctx, "+491701234567"); err != nil {
		return err
	}
	s.tell("ada", "fills in her profile", "")
	return nil
}

func (s *story) aDoctorArrives() (err error) {
	if s.doctor, err = s.signUp("Noor Haddad", "noor"); err != nil {
		return err
	}
	s.admin = &person{username: s.AdminUsername, password: s.AdminPassword}
	if err := s.admin.logIn(s); err != nil {
		return err
	}
	return s.becomes(s.doctor, "noor", auth.Doctor)
}

// becomes plays how a role is asked for and granted.
func (s *story) becomes(p *person, given string, role auth.ProfessionalRole) error {
	asked, err := healthe.Created(p.Auth.CreateRoleRequestWithResponse(s.ctx, nil, auth.NewRoleRequest{Role: role, LicenceNumber: "DE-" + s.tag}))
	if err != nil {
		return failed("role request", err)
	}
	s.tell(given, fmt.Sprintf("asks for the %s role", role), "with a licence number; the request is %s", asked.Status)
	if _, err := healthe.OK(s.admin.Auth.ApproveRoleRequestWithResponse(s.ctx, asked.ID, nil)); err != nil {
		return failed("approve the role", err)
	}
	s.tell("admin", "grants it", "")

	roles, err := until(s.ctx, fmt.Sprintf("the %s role", role), func(ctx context.Context) ([]string, bool, error) {
		me, err := healthe.OK(p.Auth.GetMeWithResponse(ctx))
		if err != nil {
			return nil, false, err
		}
		return me.Roles, slices.Contains(me.Roles, string(role)), nil
	})
	if err != nil {
		return err
	}
	if _, err := s.mail.find(s.ctx, p.email, "Your request was granted"); err != nil {
		return err
	}
	s.tell(given, fmt.Sprintf("is a %s", role), "roles %s, and a mail says so", fmt.Sprint(roles))
	return nil
}
