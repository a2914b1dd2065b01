package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/deferred"
)

// both returns the caller straight at each instance of catalog, with the identity of this moment.
func (c *caller) both(t *testing.T, instances []string) (all []*caller, as edit) {
	t.Helper()
	for _, base := range instances {
		all = append(all, c.at(base).bearing(""))
	}
	return all, header(identity.Header, c.rightful(t))
}

// CAT-4: what somebody did is what everybody reads from then on, whichever catalog they ask and whatever it had kept.
func TestForumReadsWhatWasWritten(t *testing.T) {
	p := shared(t)
	require.NoError(t, p.Scale(t.Context(), "catalog", 2))
	t.Cleanup(func() { require.NoError(t, p.Scale(context.WithoutCancel(t.Context()), "catalog", 1)) })
	instances, err := p.Instances(t.Context(), "catalog")
	require.NoError(t, err)
	require.Len(t, instances, 2)
	author, voter := p.person(t), p.person(t)
	d := author.discussion(t)
	voter.do(t, http.MethodPut, communities+"/"+d.community+"/membership", nil).wants(t, http.StatusNoContent)
	post, feed, own, tree := posts+d.post, communities+"/"+d.community+"/posts", "/forum/v1/me/feed", posts+d.post+"/comments"
	hits, comments := 0, 1
	for n := range 30 {
		ways, as := voter.both(t, instances)
		for _, c := range ways { // twice, so that each has copies
			for _, path := range []string{post, feed, own, tree, post, feed, own, tree} {
				if strings.Contains(c.get(t, path, as).wants(t, http.StatusOK).Header.Get("Cache-Status"), "hit") {
					hits++
				}
			}
		}
		writer, want := ways[n%2], map[bool]string{true: "up", false: "down"}[n%4 < 2]
		writer.do(t, http.MethodPut, post+"/vote", map[string]string{"value": want}, as).wants(t, http.StatusOK)
		if n%3 == 0 {
			comments++
			writer.post(t, tree, map[string]string{"body": fmt.Sprintf("Number %d.", n)}, as).wants(t, http.StatusCreated)
		}
		for _, c := range []*caller{ways[(n+1)%2], ways[n%2]} { // the other one first
			var one content
			var pages [3]struct{ Items []content }
			c.get(t, post, as).wants(t, http.StatusOK).decode(t, &one)
			for i, path := range []string{feed, own, tree} {
				c.get(t, path, as).wants(t, http.StatusOK).decode(t, &pages[i])
			}
			for _, said := range []content{one, pages[0].Items[0], pages[1].Items[0]} {
				require.Equal(t, want, said.OwnVote, "round %d", n)
				require.Equal(t, map[string]int{"up": 1, "down": -1}[want], said.Score, "round %d", n)
				require.Equal(t, comments, said.Comments, "round %d", n)
			}
			require.Len(t, pages[2].Items, comments, "round %d", n)
		}
	}
	p.voteSideBySide(t, post, instances)
	require.Positive(t, hits, "something was kept, or this test tests nothing")
	t.Logf("%d reads were answered by copies", hits)
}

// voteSideBySide lets each of a crowd vote at one catalog and read their own vote at the other.
func (p *platform) voteSideBySide(t *testing.T, post string, instances []string) {
	t.Helper()
	crowd := make([]*caller, 8) // who vote side by side
	for i := range crowd {
		crowd[i] = p.person(t)
	}
	for _, want := range []string{"up", "down", "up", "down", "up"} {
		ways, as := make([][]*caller, len(crowd)), make([]edit, len(crowd))
		for i, c := range crowd {
			ways[i], as[i] = c.both(t, instances)
		}
		for _, got := range atOnce(t, len(crowd), func(i int) (answer, error) {
			got, err := ways[i][i%2].try(t.Context(), http.MethodPut, post+"/vote", map[string]string{"value": want}, as[i])
			if err != nil || got.StatusCode != http.StatusOK {
				return got, err
			}
			return ways[i][(i+1)%2].try(t.Context(), http.MethodGet, post, nil, as[i])
		}) {
			var one content
			got.wants(t, http.StatusOK).decode(t, &one)
			require.Equal(t, want, one.OwnVote)
		}
	}
}

// forumOutage is a discussion that somebody has read before the forum goes away.
type forumOutage struct {
	*platform
	ada, bea  *caller
	d         discussion
	processes []string
	before    map[string]string // what bea has read, by path
}

func (p *platform) newForumOutage(t *testing.T) *forumOutage {
	t.Helper()
	o := &forumOutage{platform: p, ada: p.person(t), bea: p.person(t), processes: p.named(t, "forum"), before: map[string]string{}}
	require.Len(t, o.processes, scaled["forum"])
	o.d = o.ada.discussion(t)
	o.bea.do(t, http.MethodPut, communities+"/"+o.d.community+"/membership", nil).wants(t, http.StatusNoContent)
	for _, path := range append(o.soon(), o.late()...) {
		o.before[path] = string(o.bea.get(t, path).wants(t, http.StatusOK).body)
	}
	return o
}

// soon are reads of which copies are fresh for 10 seconds, late those for a minute.
func (o *forumOutage) soon() []string {
	return []string{posts + o.d.post, posts + o.d.post + "/comments", comments + o.d.comment, communities + "/" + o.d.community + "/posts", "/forum/v1/me/feed"}
}

func (o *forumOutage) late() []string {
	return []string{communities + "/" + o.d.community, "/forum/v1/me/communities", communities + "?name=e2e"}
}

// readsOld finds that all of it is read as it was and, once it is not fresh any more, marked as old.
func (o *forumOutage) readsOld(t *testing.T, paths []string) {
	t.Helper()
	for _, path := range paths {
		eventually(t, "old: "+path, 90*time.Second, func() (bool, string) {
			got := o.bea.get(t, path).wants(t, http.StatusOK)
			require.JSONEq(t, o.before[path], string(got.body), path)
			return strings.HasPrefix(got.Header.Get("Warning"), "110") && got.Header.Get("Age") != "", got.Header.Get("Cache-Status")
		})
	}
	got := o.bea.get(t, "/forum/v1/search?query=security") // nobody keeps it
	got.refused(t, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
}

// CAT-6: while the forum hangs, it is read as it was; nothing else is promised.
func TestForumHangs(t *testing.T) {
	p := shared(t)
	o := p.newForumOutage(t)
	frozen := p.pids(t)
	thaw := func() {
		for _, name := range o.processes {
			_ = syscall.Kill(frozen[name], syscall.SIGCONT)
		}
	}
	t.Cleanup(thaw)
	for _, name := range o.processes {
		require.NoError(t, syscall.Kill(frozen[name], syscall.SIGSTOP))
	}
	o.readsOld(t, o.soon())
	o.bea.do(t, http.MethodPut, posts+o.d.post+"/vote", map[string]string{"value": "up"}).refused(t, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	thaw()
	p.healthy(t)
	eventually(t, "live again", patience, func() (bool, string) {
		got := o.bea.get(t, "/forum/v1/search?query=security")
		return got.StatusCode == http.StatusOK, got.String()
	})
}

// CAT-6, CAT-7: while the forum is away, it is read as it was; what is posted then is there once when it is back, or asked about.
func TestForumIsAway(t *testing.T) {
	p := shared(t)
	o := p.newForumOutage(t)
	bea, here, there := o.bea, posts+o.d.post+"/comments", communities+"/"+o.d.community+"/posts"
	for _, name := range o.processes {
		p.down(t, name)
	}
	o.readsOld(t, append(o.soon(), o.late()...))
	draft, remark := map[string]string{"title": unique("While it was away"), "body": "A text."}, unique("A remark")
	post := bea.later(t, there, draft, key("post"))
	require.Equal(t, post.Id, bea.later(t, there, draft, key("post")).Id)
	comment := bea.later(t, here, map[string]string{"body": remark})
	phone := bea.later(t, here, map[string]string{"body": "Call me: +49 170 1234567."})
	for _, name := range o.processes {
		require.NoError(t, p.StartProcess(context.WithoutCancel(t.Context()), name))
	}
	p.healthy(t)
	post, comment, phone = bea.ended(t, post), bea.ended(t, comment), bea.ended(t, phone)
	require.Equal(t, deferred.Succeeded, post.State)
	require.Equal(t, deferred.Succeeded, comment.State)
	require.Equal(t, draft["title"], bea.read(t, *post.Result.Location).Title)
	require.Equal(t, remark, bea.read(t, *comment.Result.Location).Body)
	require.Equal(t, deferred.Failed, phone.State)
	require.True(t, strings.HasSuffix(phone.Problem.Type, "/personal-data"), phone.Problem.Type)
	bea.post(t, there, draft, key("post")) // once more
	require.Len(t, bea.list(t, "/forum/v1/me/posts"), 1)
	require.Len(t, bea.list(t, "/forum/v1/me/comments"), 1)
	require.Equal(t, 2, o.ada.read(t, posts+o.d.post).Comments)
	require.Len(t, o.ada.list(t, there), 2)
}
