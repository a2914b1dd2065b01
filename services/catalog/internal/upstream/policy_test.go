package upstream

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
)

func TestContractsAreSound(t *testing.T) {
	t.Parallel()

	docs := map[string]*openapi3.T{}
	for _, service := range []string{"appointment", "auth", "forum", "mailing"} {
		doc, err := contract.Load(service)
		require.NoError(t, err)
		docs[service] = doc
	}
	all, err := PoliciesOf(docs)
	require.NoError(t, err)

	book := all["appointment"].ByID("bookAppointment")
	require.Equal(t, Defer, book.OnFailure)
	require.Equal(t, 2, book.Retries)
	require.Equal(t, 5*time.Second, book.Timeout)
	clinics := all["appointment"].ByID("listClinics")
	require.True(t, clinics.Public)
	require.Equal(t, Stale, clinics.OnFailure)
	require.Contains(t, all["appointment"].InvalidatedBy("updateClinic"), "listClinics")
	require.Empty(t, all["appointment"].InvalidatedBy("createCalendarFeed"))
	require.Nil(t, all["auth"].ByID("getContact"), "an internal operation does not pass here")
	require.Contains(t, all["forum"].InvalidatedBy("votePost"), "listPosts")
	require.Equal(t, Defer, all["forum"].ByID("createComment").OnFailure)
	require.Greater(t, len(all["appointment"].byID)+len(all["auth"].byID)+len(all["mailing"].byID), 80)
}

func TestPoliciesSayWhatAContractDoesNot(t *testing.T) {
	t.Parallel()

	all, err := policies(t, "toys", toys)
	require.NoError(t, err)
	get, create, remove := all.ByID("getToy"), all.ByID("createToy"), all.ByID("deleteToy")
	require.Equal(t, Policy{Operation: "getToy", Method: "GET", Pattern: "/toys/v1/toys/{id}", Timeout: 2 * time.Second, Retries: 2}, *get)
	require.Equal(t, 2, create.Retries, "it takes a key")
	require.Zero(t, remove.Retries)
	require.Equal(t, 5*time.Second, remove.Timeout)
	require.Equal(t, []string{"listToys"}, all.InvalidatedBy("deleteToy"))
}

func TestPolicyOfARequest(t *testing.T) {
	t.Parallel()

	all, err := policies(t, "toys", toys)
	require.NoError(t, err)
	for request, want := range map[string]string{
		"GET /toys/v1/toys":         "listToys",
		"HEAD /toys/v1/toys":        "listToys",
		"GET /toys/v1/toys?a=b":     "listToys",
		"POST /toys/v1/toys":        "createToy",
		"GET /toys/v1/toys/new":     "getNewToy",
		"GET /toys/v1/toys/7":       "getToy",
		"GET /toys/v1/toys/a%2Fb":   "getToy",
		"GET /toys/v1/%74oys":       "listToys",
		"GET /toys/v1/toys/%2E%2E":  "getToy",
		"GET /toys/v1/toys/a/../7":  "",
		"GET /toys//v1/toys":        "",
		"PUT /toys/v1/toys/7":       "",
		"GET /toys/v1/toys/":        "",
		"GET /toys/v1/toys/7/parts": "",
		"GET /games/v1/toys":        "",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		if p := all.Of(httptest.NewRequest(method, path, nil)); p != nil {
			got = p.Operation
		}
		require.Equal(t, want, got, request)
	}
}

// CAT-4, CAT-10: what a contract says has an effect, or stops the start.
func TestWrongContractsStopTheStart(t *testing.T) {
	t.Parallel()

	for says, want := range map[string]string{
		`GET 7`:                                                        `x-healthe-resilience: is no object`,
		`GET { timeuot: 1s }`:                                          `x-healthe-resilience: there is no "timeuot"; there are timeout, retry, hedge, bulkhead, on_failure, cache`,
		`GET { timeout: 2 }`:                                           `timeout: 2 is no duration such as 500ms`,
		`GET { timeout: soon }`:                                        `timeout: soon is no duration such as 500ms`,
		`GET { timeout: 0s }`:                                          `timeout: 0s is not between 1ms and 10s`,
		`GET { timeout: 11s }`:                                         `timeout: 11s is not between 1ms and 10s`,
		`GET { retry: 6 }`:                                             `retry: 6 is no whole number between 0 and 5`,
		`GET { retry: -1 }`:                                            `retry: -1 is no whole number between 0 and 5`,
		`GET { retry: 1.5 }`:                                           `retry: 1.5 is no whole number between 0 and 5`,
		`GET { retry: two }`:                                           `retry: two is no whole number between 0 and 5`,
		`PUT { retry: 1 }`:                                             `retry: a write that takes no Idempotency-Key is never sent twice`,
		`GET { hedge: 3s }`:                                            `hedge: 3s is not shorter than the timeout of 2s`,
		`POST { hedge: 1s }`:                                           `hedge: only a read may be sent twice at once`,
		`GET { bulkhead: 0 }`:                                          `bulkhead: 0 is no whole number between 1 and 10000`,
		`GET { on_failure: pray }`:                                     `on_failure: pray is none of fail, stale, defer`,
		`GET { on_failure: stale }`:                                    `on_failure: stale needs cache.stale, for how long an answer may serve`,
		`GET { on_failure: defer }`:                                    `on_failure: only a POST can be deferred`,
		`POST { on_failure: defer }`:                                   `on_failure: defer needs the response 202 to be deferred.yaml#/components/responses/Deferred`,
		`LOOSE { on_failure: defer }`:                                  `on_failure: a write is deferred under its Idempotency-Key, which this one does not take`,
		`GET { cache: 30s }`:                                           `cache: is no object`,
		`GET { cache: { ttl: 0s } }`:                                   `cache: neither ttl nor stale is longer than 0, so nothing is ever served from it`,
		`GET { cache: { ttl: 25h } }`:                                  `cache.ttl: 25h is not between 0s and 24h0m0s`,
		`GET { cache: { tll: 1s } }`:                                   `cache: there is no "tll"; there are ttl, stale, invalidated_by`,
		`PUT { cache: { ttl: 1s } }`:                                   `cache: only answers to GET are kept`,
		`GET { cache: { ttl: 1s, stale: 1h } }`:                        `cache.stale: serves nothing without on_failure: stale`,
		`GET { cache: { ttl: 1s, invalidated_by: putToy } }`:           `cache.invalidated_by: is no list`,
		`GET { cache: { ttl: 1s, invalidated_by: [paintToy] } }`:       `cache.invalidated_by: paintToy is no public operation of this service`,
		`GET { cache: { ttl: 1s, invalidated_by: [hiddenToy] } }`:      `cache.invalidated_by: hiddenToy is no public operation of this service`,
		`GET { cache: { ttl: 1s, invalidated_by: [getToy] } }`:         `cache.invalidated_by: getToy is a read and changes nothing`,
		`GET { cache: { ttl: 1s, invalidated_by: [putToy, putToy] } }`: `cache.invalidated_by: putToy stands there twice`,
		`HIDDEN { timeout: 1s }`:                                       `is internal and never passes the catalog, so it has no x-healthe-resilience`,
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()

			at, value, _ := strings.Cut(says, " ")
			_, err := policies(t, "toys", saying(map[string]string{at: value}))
			require.EqualError(t, err, "toys "+strings.ToLower(at)+"Toy: "+want)
		})
	}

	t.Run("all at once", func(t *testing.T) {
		t.Parallel()

		_, err := policies(t, "toys", saying(map[string]string{"GET": "{ retry: 9, timeout: 1m }", "PUT": "{ hedge: 1s }"}))
		require.EqualError(t, err, "toys getToy: retry: 9 is no whole number between 0 and 5\n"+
			"toys getToy: timeout: 1m is not between 1ms and 10s\n"+
			"toys putToy: hedge: only a read may be sent twice at once")
	})
	t.Run("none in what is sound", func(t *testing.T) {
		t.Parallel()

		_, err := policies(t, "toys", saying(map[string]string{"POST": "{ timeout: 10s, retry: 5, bulkhead: 1, on_failure: fail }", "GET": "{ retry: 0, hedge: 1ms }"}))
		require.NoError(t, err)
	})
}

// saying returns a contract whose operations say that of their resilience.
func saying(what map[string]string) string {
	doc := `
openapi: 3.0.3
info: { title: Toys, version: 1.0.0 }
paths:
`
	const key = "parameters: [{ name: Idempotency-Key, in: header, schema: { type: string } }], "
	for _, op := range [][3]string{{"GET", "get", ""}, {"PUT", "put", ""}, {"POST", "post", key}, {"LOOSE", "post", ""}, {"HIDDEN", "post", "x-healthe-internal: true, "}} {
		id := strings.ToLower(op[0])
		extra := op[2]
		if value, ok := what[op[0]]; ok {
			extra += extension + ": " + value + ", "
		}
		doc += "  /toys/v1/" + id + ": { " + op[1] + ": { operationId: " + id + "Toy, security: [], " + extra + `responses: { "202": { description: ok } } } }` + "\n"
	}
	return doc
}
