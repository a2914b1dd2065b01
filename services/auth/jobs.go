package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const sealAddress = "address"

// The jobs of auth. They hold no address, no name and no code: River keeps them for a while.
type (
	challengeJob struct {
		ID uuid.UUID `json:"id"`
	}
	emailChangeJob struct {
		UserID   uuid.UUID `json:"user_id"`
		ChangeID uuid.UUID `json:"change_id"`
	}
	rolesJob struct {
		UserID uuid.UUID `json:"user_id"`
	}
	deletionJob struct {
		UserID uuid.UUID `json:"user_id"`
	}
	mailJob struct {
		Template string            `json:"template"`
		Data     map[string]string `json:"data"`
		UserID   *uuid.UUID        `json:"user_id,omitempty"`
		Sealed   []byte            `json:"sealed,omitempty"` // an address, where there is no user
	}
	loginsJob struct {
		UserID uuid.UUID `json:"user_id"`
	}
	unverifiedJob   struct{}
	housekeepingJob struct{}
)

func (challengeJob) Kind() string    { return "challenge" }
func (emailChangeJob) Kind() string  { return "email_change" }
func (rolesJob) Kind() string        { return "roles" }
func (deletionJob) Kind() string     { return "deletion" }
func (mailJob) Kind() string         { return "mail" }
func (loginsJob) Kind() string       { return "logins" }
func (unverifiedJob) Kind() string   { return "unverified" }
func (housekeepingJob) Kind() string { return "housekeeping" }

func (s *service) register(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(s.workChallenge))
	river.AddWorker(w, river.WorkFunc(s.workEmailChange))
	river.AddWorker(w, river.WorkFunc(s.workRoles))
	river.AddWorker(w, river.WorkFunc(s.workDeletion))
	river.AddWorker(w, river.WorkFunc(s.workMail))
	river.AddWorker(w, river.WorkFunc(s.workLogins))
	river.AddWorker(w, river.WorkFunc(s.workUnverified))
	river.AddWorker(w, river.WorkFunc(s.workHousekeeping))
}

func (s *service) periodic() []*river.PeriodicJob {
	every := func(period time.Duration, job river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(period),
			func() (river.JobArgs, *river.InsertOpts) { return job, nil }, &river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{every(5*time.Minute, housekeepingJob{}), every(10*time.Minute, unverifiedJob{})}
}

// workChallenge makes the account that was asked for, if it is one, and lets Kratos mail the code.
func (s *service) workChallenge(ctx context.Context, job *river.Job[challengeJob]) error {
	row, err := s.store.GetChallenge(ctx, job.Args.ID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && row.Sealed == nil {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := s.box.Open(sealChallenge, row.Sealed)
	if err != nil {
		return river.JobCancel(err)
	}
	var w wish
	if err := json.Unmarshal(text, &w); err != nil {
		return river.JobCancel(err)
	}
	kind := kratos.Verification
	switch row.Purpose {
	case store.ChallengePurposeRecovery:
		kind = kratos.Recovery
	case store.ChallengePurposeSignup:
		if made, err := s.makeAccount(ctx, w, row.ID); err != nil || !made {
			return errors.Join(err, s.eraseUnless(ctx, err, row.ID))
		}
	}
	flow, err := s.kratos.StartFlow(ctx, kind)
	if err != nil {
		return err
	}
	// First, so that nobody has a code before we know what it is for.
	n, err := s.store.SetChallengeFlow(ctx, store.SetChallengeFlowParams{FlowID: &flow, ID: row.ID})
	if err != nil || n == 0 { // none: it became void meanwhile
		return err
	}
	if err := s.kratos.SendCode(ctx, kind, flow, w.Email, row.ID.String()); err != nil {
		return err
	}
	return s.store.EraseChallenge(ctx, row.ID)
}

func (s *service) eraseUnless(ctx context.Context, failed error, id uuid.UUID) error {
	if failed != nil {
		return nil
	}
	return s.store.EraseChallenge(ctx, id)
}

// workEmailChange mails the code to the new address and a notice to the old one, or tells the
// owner of an address that is taken.
func (s *service) workEmailChange(ctx context.Context, job *river.Job[emailChangeJob]) error {
	change, err := s.store.GetEmailChange(ctx, job.Args.UserID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && change.ID != job.Args.ChangeID {
		return nil
	}
	if err != nil {
		return err
	}
	letter := mailJob{Template: "verification_code", Sealed: s.box.Seal(sealAddress, []byte(change.Email))}
	_, err = s.kratos.FindIdentity(ctx, change.Email)
	switch {
	case err == nil:
		letter.Template, letter.Data = "signup_attempt", map[string]string{"url": s.cfg.PublicURL + "/recovery"}
	case errors.Is(err, kratos.ErrNotFound):
		letter.Data = map[string]string{"code": s.emailCode(change), "url": s.cfg.PublicURL + "/settings#email"}
	default:
		return err
	}
	// The code would rest in the arguments of a job of its own: sent from here instead.
	if err := s.send(ctx, letter, "auth-email-"+change.ID.String()); err != nil {
		return err
	}
	notice := mailJob{Template: "email_change", UserID: &job.Args.UserID, Data: map[string]string{"url": s.cfg.PublicURL + "/settings"}}
	return s.send(ctx, notice, "auth-email-notice-"+change.ID.String())
}

// workRoles makes Kratos' roles follow the requests that were approved and revoked; roles that
// nobody requested here, as an admin's, stay. It looks again afterwards: of two jobs at once, the
// one that wrote last has seen what the other one knew.
func (s *service) workRoles(ctx context.Context, job *river.Job[rolesJob]) error {
	roles, err := s.store.ListRoles(ctx, job.Args.UserID)
	for err == nil {
		if err = s.setRoles(ctx, job.Args.UserID, roles); err != nil {
			break
		}
		before := roles
		if roles, err = s.store.ListRoles(ctx, job.Args.UserID); slices.Equal(before, roles) {
			break
		}
	}
	if errors.Is(err, kratos.ErrNotFound) {
		return river.JobCancel(err) // the account was deleted meanwhile
	}
	if err != nil {
		return err
	}
	return s.revoked(ctx, job.Args.UserID.String())
}

func (s *service) setRoles(ctx context.Context, user uuid.UUID, decided []store.ListRolesRow) error {
	person, err := s.kratos.GetIdentity(ctx, user)
	if err != nil {
		return err
	}
	roles := slices.Clone(person.Roles())
	for _, d := range decided {
		roles = slices.DeleteFunc(roles, func(r string) bool { return r == string(d.Role) })
		if d.Granted {
			roles = append(roles, string(d.Role))
		}
	}
	return s.kratos.SetRoles(ctx, user, roles)
}

// workDeletion deletes all that is known of a person.
func (s *service) workDeletion(ctx context.Context, job *river.Job[deletionJob]) error {
	user := job.Args.UserID
	if err := s.kratos.DeleteIdentity(ctx, user); err != nil {
		return err
	}
	if err := s.hydra.Forget(ctx, user.String()); err != nil {
		return err
	}
	err := errors.Join(s.store.DeleteRoleRequests(ctx, user), s.store.DeleteEmailChange(ctx, user))
	return errors.Join(err, s.revoked(ctx, user.String()))
}

// workLogins makes Hydra ask again who it is, after a session ended: it remembers log-ins on its own.
func (s *service) workLogins(ctx context.Context, job *river.Job[loginsJob]) error {
	return s.hydra.ForgetLogins(ctx, job.Args.UserID.String())
}

func (s *service) workMail(ctx context.Context, job *river.Job[mailJob]) error {
	return s.send(ctx, job.Args, "auth-job-"+strconv.FormatInt(job.ID, 10))
}

// send hands a letter to mailing, once for a key.
func (s *service) send(ctx context.Context, letter mailJob, key string) error {
	to := mailing.NewRecipient{UserID: letter.UserID}
	if letter.UserID == nil {
		address, err := s.box.Open(sealAddress, letter.Sealed)
		if err != nil {
			return river.JobCancel(err)
		}
		to.Address = new(string(address))
	}
	resp, err := s.mail.SendMessageWithResponse(ctx, &mailing.SendMessageParams{IdempotencyKey: &key},
		mailing.NewMessage{Template: &letter.Template, Data: &letter.Data, Recipients: []mailing.NewRecipient{to}})
	if err != nil {
		return err
	}
	switch status := resp.StatusCode(); {
	case status == http.StatusAccepted:
		return nil
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return river.JobCancel(fmt.Errorf("mailing refused %s: %s", letter.Template, resp.Status()))
	}
	return fmt.Errorf("mailing: %s", resp.Status())
}

// workHousekeeping replaces signing keys in time and forgets what is over.
func (s *service) workHousekeeping(ctx context.Context, _ *river.Job[housekeepingJob]) error {
	return errors.Join(
		s.keys.Rotate(ctx, time.Now()),
		s.store.DeleteOldAttempts(ctx),
		s.store.DeleteOldChallenges(ctx),
		s.store.DeleteOldEmailChanges(ctx),
	)
}
