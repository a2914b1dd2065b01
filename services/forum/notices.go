package forum

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/mail"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// A noticeJob tells the author of a post or comment that someone answered it. It names nobody; who is told is found, and opened,
// when the mail is sent. The answers of an hour make one mail.
type noticeJob struct {
	ContentID uuid.UUID `json:"content_id" river:"unique"`
	Hour      time.Time `json:"hour" river:"unique"`
	CommentID uuid.UUID `json:"comment_id"` // the first answer
}

func (noticeJob) Kind() string { return "notice" }

func (noticeJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: mail.Tries, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// notify lets a mail be sent about a comment, in the transaction that makes it.
func (s *service) notify(ctx context.Context, tx pgx.Tx, content, comment uuid.UUID) error {
	_, err := s.jobs.InsertTx(ctx, tx, noticeJob{content, s.now().UTC().Truncate(time.Hour), comment}, nil)
	return err
}

type notifier struct {
	river.WorkerDefaults[noticeJob]
	service *service
	post    mail.Post
}

func (w *notifier) NextRetry(job *river.Job[noticeJob]) time.Time {
	return time.Now().Add(mail.Delay(job.Attempt))
}

func (w *notifier) Work(ctx context.Context, job *river.Job[noticeJob]) error {
	s := w.service
	notice, err := s.store.GetNotice(ctx, job.Args.CommentID)
	if errors.Is(err, pgx.ErrNoRows) { // the answer is gone, or mail is not wanted any more
		return nil
	}
	if err != nil {
		return err
	}
	subject, err := s.names.Open(notice.AuthorID, notice.SealedSubject)
	if err != nil {
		return river.JobCancel(err)
	}
	user, err := uuid.Parse(subject)
	if err != nil {
		return river.JobCancel(err)
	}
	return w.post.Send(ctx, "forum_reply:"+job.Args.CommentID.String(), s.compose(user, notice))
}

// compose says that there is something to read, and not what: a subject line can tell of an illness.
func (s *service) compose(to uuid.UUID, n store.GetNoticeRow) mailing.NewMessage {
	what := "your post"
	if n.ParentID != nil {
		what = "your comment"
	}
	return mailing.NewMessage{
		Template: new("forum_reply"), Recipients: []mailing.NewRecipient{{UserID: &to}},
		Data: &map[string]string{"what": what, "url": s.publicURL + "/forum/v1/comments/" + n.CommentID.String()},
	}
}
