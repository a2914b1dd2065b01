// Package deferred holds what every operation answers that may be carried out later.
package deferred

// DeferredJSONResponse is the answer as the generated servers of other contracts embed it; the generator makes it
// only beside operations.
type DeferredJSONResponse struct {
	Body    DeferredOperation
	Headers DeferredResponseHeaders
}

// DeferredResponseHeaders go with it.
type DeferredResponseHeaders struct {
	Location *string // of the operation
}
