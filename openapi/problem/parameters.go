package problem

// Generated code refers to the shared parameters of common.yaml by these names.
type (
	// Limit is how many items a page holds, 1 to 100.
	Limit = int
	// Cursor is the opaque place where a page starts.
	Cursor = string
	// IdempotencyKey names a request, so that sending it twice does it once.
	IdempotencyKey = string
	// IfMatch is the ETag that the thing must still have.
	IfMatch = string
	// ProblemApplicationProblemPlusJSONResponse is the shared response, for whoever answers with it by hand.
	ProblemApplicationProblemPlusJSONResponse = Problem
)
