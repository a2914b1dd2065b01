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
	require.Positive(t, hits, "something was kept, or this test tests nothing")
	t.Logf("%d reads were answered by copies", hits)
}

// CAT-6, CAT-7: while the forum hangs or is away, it is read as it was, marked as old; what is posted then is there once when it is back.
func TestForumIsOut(t *testing.T) {
	p := shared(t)
	ada, bea := p.person(t), p.person(t)
	d := ada.discussion(t)
	bea.do(t, http.MethodPut, communities+"/"+d.community+"/membership", nil).wants(t, http.StatusNoContent)
	reads := []string{
		posts + d.post, posts + d.post + "/comments", comments + d.comment, communities + "/" + d.community + "/posts", "/forum/v1/me/feed",
		communities + "/" + d.community, "/forum/v1/me/communities", communities + "?name=e2e", // fresh for a minute, those before for 10 s
	}
	asBefore := map[string]string{}
	for _, path := range reads {
		asBefore[path] = string(bea.get(t, path).wants(t, http.StatusOK).body)
	}
	stale := func(reads []string) {
		t.Helper()
		for _, path := range reads {
			eventually(t, "old: "+path, 90*time.Second, func() (bool, string) {
				got := bea.get(t, path).wants(t, http.StatusOK)
				require.JSONEq(t, asBefore[path], string(got.body), path)
				return strings.HasPrefix(got.Header.Get("Warning"), "110") && got.Header.Get("Age") != "", got.Header.Get("Cache-Status")
			})
		}
		got := bea.get(t, "/forum/v1/search?query=security") // nobody keeps it
		got.refused(t, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
		require.NotEmpty(t, got.Header.Get("Retry-After"))
	}
	processes := p.named(t, "forum")
	require.Len(t, processes, scaled["forum"])

	t.Run("it hangs", func(t *testing.T) {
		frozen := p.pids(t)
		thaw := func() {
			for _, name := range processes {
				_ = syscall.Kill(frozen[name], syscall.SIGCONT)
			}
		}
		t.Cleanup(thaw)
		for _, name := range processes {
			require.NoError(t, syscall.Kill(frozen[name], syscall.SIGSTOP))
		}
		stale(reads[:5])
		bea.do(t, http.MethodPut, posts+d.post+"/vote", map[string]string{"value": "up"}).refused(t, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
		thaw()
		p.healthy(t)
		eventually(t, "live again", patience, func() (bool, string) {
			got := bea.get(t, "/forum/v1/search?query=security")
			return got.StatusCode == http.StatusOK, got.String()
		})
	})

	t.Run("it is away", func(t *testing.T) {
		for _, path := range reads {
			asBefore[path] = string(bea.get(t, path).wants(t, http.StatusOK).body)
		}
		for _, name := range processes {
			p.down(t, name)
		}
		stale(reads)
		title, remark := unique("While it was away"), unique("A remark")
		post := bea.later(t, communities+"/"+d.community+"/posts", map[string]string{"title": title, "body": "A text."}, key("post"))
		require.Equal(t, post.Id, bea.later(t, communities+"/"+d.community+"/posts", map[string]string{"title": title, "body": "A text."}, key("post")).Id)
		comment := bea.later(t, posts+d.post+"/comments", map[string]string{"body": remark})
		phone := bea.later(t, posts+d.post+"/comments", map[string]string{"body": "Call me: +49 170 1234567."})
		ctx := context.WithoutCancel(t.Context())
		for _, name := range processes {
			require.NoError(t, p.StartProcess(ctx, name))
		}
		p.healthy(t)
		post, comment, phone = bea.ended(t, post), bea.ended(t, comment), bea.ended(t, phone)
		require.Equal(t, deferred.Succeeded, post.State)
		require.Equal(t, deferred.Succeeded, comment.State)
		require.Equal(t, title, bea.read(t, *post.Result.Location).Title)
		require.Equal(t, remark, bea.read(t, *comment.Result.Location).Body)
		require.Equal(t, deferred.Failed, phone.State)
		require.True(t, strings.HasSuffix(phone.Problem.Type, "/personal-data"), phone.Problem.Type)
		bea.post(t, communities+"/"+d.community+"/posts", map[string]string{"title": title, "body": "A text."}, key("post")) // once more
		require.Len(t, bea.list(t, "/forum/v1/me/posts"), 1)
		require.Len(t, bea.list(t, "/forum/v1/me/comments"), 1)
		require.Equal(t, 2, ada.read(t, posts+d.post).Comments)
		require.Len(t, ada.list(t, communities+"/"+d.community+"/posts"), 2)
	})
}
