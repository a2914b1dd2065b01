// Package e2e tests the whole platform through its front door: one stack of real processes on free ports, beside any that
// runs already, with two instances of auth and of appointment.
//
// Tests that break things are not parallel and therefore run first, one by one; each leaves the stack as a person would find
// it who restarted nothing. The others share what has survived that and run in parallel.
//
//	p := shared(t)                  // the stack; started by the first test that asks
//	ada := p.person(t)              // a logged-in patient with a network address of her own
//	doc := p.person(t, "doctor")    // roles beside patient: doctor, pharmacist, moderator, admin
//	nobody := p.visitor()           // who has not logged in
//	got := ada.get(t, "/auth/v1/me")
//	got.wants(t, http.StatusOK).decode(t, &me)
//	got.refused(t, http.StatusForbidden) // a sound problem+json of that status
//	p.mailTo(t, ada.email, 1)       // waits for the first mail
//	c := p.newPractice(t)           // a doctor with hours, whose slots can be booked
package e2e
