package journey

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/openapi/problem"
	healthe "github.com/healthe/healthe/sdk/go"
)

// discussion is what they say in the forum.
type discussion struct {
	name                  string // of Ada there
	community             *forum.Community
	post                  *forum.Post
	answer, reply, advice *forum.Comment
}

func (s *story) adaOpensACommunity() (err error) {
	ada, err := healthe.OK(s.ada.Forum.UpdateOwnAuthorWithResponse(s.ctx, forum.Settings{ReplyMails: true}))
	if err != nil {
		return failed("settings", err)
	}
	s.discussion.name = ada.Author.Name
	s.tell("ada", "enters the forum", "as %s: it does not know who she is; she wants mail about answers", ada.Author.Name)
	s.discussion.community, err = healthe.Created(s.ada.Forum.CreateCommunityWithResponse(s.ctx, nil, forum.NewCommunity{
		Name: "heart-" + s.tag, Title: "Living with a weak heart", Description: "Everyday questions.",
	}))
	if err != nil {
		return failed("community", err)
	}
	if err := healthe.Done(s.bea.Forum.FollowCommunityWithResponse(s.ctx, s.discussion.community.ID)); err != nil {
		return failed("follow", err)
	}
	s.tell("ada", "opens a community", "%s, and bea follows it", s.discussion.community.Name)
	return nil
}

// adaPosts plays how the forum asks whether something personal is meant to be public.
func (s *story) adaPosts() error {
	post := func(body string) (*forum.Post, error) {
		return healthe.Created(s.ada.Forum.CreatePostWithResponse(s.ctx, s.discussion.community.ID, nil, forum.NewPost{
			Title: "Flying with a pacemaker", Body: &body,
		}))
	}
	_, err := post("What do you tell airport security? Call me: +49 170 1234567.")
	question, asked := errors.AsType[*problem.Problem](err)
	if !asked || !healthe.Is(err, "personal-data") || len(question.Errors) == 0 {
		return errors.Join(errors.New("a telephone number is not asked about"), err)
	}
	s.tell("ada", "posts her telephone number", "and is asked whether she means it: %s", question.Errors[0].Detail)
	if s.discussion.post, err = post("What do you tell **airport security**?"); err != nil {
		return failed("post", err)
	}
	s.tell("ada", "posts without it", "%q by %s", s.discussion.post.Title, s.discussion.post.Author.Name)

	feed, err := healthe.OK(s.bea.Forum.GetFeedWithResponse(s.ctx, nil))
	if err != nil {
		return failed("feed", err)
	}
	if len(feed.Items) != 1 || feed.Items[0].ID != s.discussion.post.ID {
		return fmt.Errorf("bea's feed has %d posts instead of Ada's", len(feed.Items))
	}
	s.tell("bea", "sees it in her feed", "because she follows the community")
	return nil
}

func (s *story) othersAnswer() (err error) {
	d := &s.discussion
	if d.answer, err = s.comment(s.bea, nil, "I show the card of my clinic."); err != nil {
		return err
	}
	s.tell("bea", "answers", "as %s", d.answer.Author.Name)
	if d.reply, err = s.comment(s.doctor, &d.answer.ID, "Good. Ask for a **search by hand**, without the wand."); err != nil {
		return err
	}
	if !d.reply.Author.IsDoctor || d.answer.Author.IsDoctor || d.reply.Depth != 1 {
		return errors.New("the answer does not say that a doctor wrote it")
	}
	s.tell("noor", "answers the answer", "as %s, marked as a doctor", d.reply.Author.Name)
	if d.advice, err = s.comment(s.bea, &d.reply.ID, "I stop my tablets a week before I fly."); err != nil {
		return err
	}
	tree := ""
	for c, err := range s.ada.Comments(s.ctx, d.post.ID, forum.ListCommentsParams{}) {
		if err != nil {
			return failed("comments", err)
		}
		tree += strings.Repeat(">", int(c.Depth)+1) + " " + c.Author.Name + " "
	}
	s.tell("ada", "reads the tree", "%s", strings.TrimSpace(tree))
	return nil
}

func (s *story) comment(by *person, to *uuid.UUID, text string) (*forum.Comment, error) {
	made, err := healthe.Created(by.Forum.CreateCommentWithResponse(s.ctx, s.discussion.post.ID, nil, forum.NewComment{ParentID: to, Body: text}))
	return made, failed("comment", err)
}

func (s *story) theyVote() error {
	var last *forum.VoteResult
	for _, v := range []struct {
		who   *person
		value forum.VoteValue
	}{{s.bea, forum.VoteValueUp}, {s.doctor, forum.VoteValueDown}, {s.doctor, forum.VoteValueUp}, {s.doctor, forum.VoteValueUp}} {
		voted, err := healthe.OK(v.who.Forum.VotePostWithResponse(s.ctx, s.discussion.post.ID, forum.Vote{Value: v.value}))
		if err != nil {
			return failed("vote", err)
		}
		last = voted
	}
	if last.Score != 2 || last.Up != 2 || last.Down != 0 {
		return fmt.Errorf("two people voted up, and the score is %d", last.Score)
	}
	s.tell("noor", "votes down, then up, and up again", "with bea's vote the score is %d: one person, one vote", last.Score)
	return nil
}

func (s *story) adaReadsAgain() error {
	d := &s.discussion
	post, err := healthe.OK(s.ada.Forum.GetPostWithResponse(s.ctx, d.post.ID, &forum.GetPostParams{HTML: new(true)}))
	if err != nil {
		return failed("read the post", err)
	}
	if post.Score != 2 || post.Comments != 3 || post.BodyHTML == nil {
		return fmt.Errorf("the post shows a score of %d and %d comments", post.Score, post.Comments)
	}
	s.tell("ada", "reads it again", "score %d, %d comments; as HTML %s", post.Score, post.Comments, strings.TrimSpace(*post.BodyHTML))

	found, err := healthe.OK(s.ada.Forum.SearchForumWithResponse(s.ctx, &forum.SearchForumParams{Query: "searching by hand", CommunityID: &d.community.ID}))
	if err != nil {
		return failed("search", err)
	}
	if len(found.Items) != 1 || found.Items[0].CommentID == nil || *found.Items[0].CommentID != d.reply.ID {
		return fmt.Errorf("the search finds %d things instead of the doctor's answer", len(found.Items))
	}
	s.tell("ada", "searches", "and finds the doctor's answer under %q", found.Items[0].Title)

	mail, err := s.mail.find(s.ctx, s.ada.email, "answer")
	if err != nil {
		return err
	}
	for _, secret := range []string{"clinic", "pacemaker", "Flying", d.answer.Author.Name, d.community.Name} {
		if strings.Contains(mail.Subject+mail.Text, secret) {
			return fmt.Errorf("the mail %q says what is in the forum: %s", mail.Subject, secret)
		}
	}
	s.tell("ada", fmt.Sprintf("gets the mail %q", mail.Subject), "which says nothing of what was written")
	return nil
}

// aModeratorDecides plays what becomes of bad advice.
func (s *story) aModeratorDecides() (err error) {
	d := &s.discussion
	if err := healthe.Done(s.doctor.Forum.FlagCommentWithResponse(s.ctx, d.advice.ID, nil, forum.Flag{Reason: forum.DangerousAdvice})); err != nil {
		return failed("flag", err)
	}
	s.tell("noor", "flags bea's advice", "as dangerous")
	if s.mia, err = s.signUp("Mia Olsen", "mia"); err != nil {
		return err
	}
	if err := s.becomes(s.mia, "mia", auth.Moderator); err != nil {
		return err
	}
	for review, err := range healthe.All(func(cursor *string) ([]forum.Review, *string, error) {
		page, err := healthe.OK(s.mia.Forum.ListReviewsWithResponse(s.ctx, &forum.ListReviewsParams{Cursor: cursor}))
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	}) {
		if err != nil {
			return failed("reviews", err)
		}
		if review.CommentID != nil && *review.CommentID == d.advice.ID {
			return s.decide(review)
		}
	}
	return errors.New("the flagged comment waits for nobody's decision")
}

func (s *story) decide(review forum.Review) error {
	err := healthe.Done(s.mia.Forum.DecideReviewWithResponse(s.ctx, review.ID, nil, forum.Decision{Decision: forum.DecisionDecisionHide, Reason: "Nobody should stop their tablets alone"}))
	if err != nil {
		return failed("decision", err)
	}
	hidden, err := healthe.OK(s.ada.Forum.GetCommentWithResponse(s.ctx, s.discussion.advice.ID, nil))
	switch {
	case err == nil && (hidden.Body != "" || hidden.Author != nil || hidden.Status != forum.Hidden):
		return errors.New("the hidden comment can still be read")
	case err != nil && !errors.Is(err, healthe.NotFound):
		return failed("read the hidden comment", err)
	}
	s.tell("mia", "decides to hide it", "it keeps its place in the tree, and nobody reads it any more")
	return nil
}
