package catalog

import (
	"context"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/services/catalog/internal/deferral"
)

// operations are the deferred writes, as their users see them.
type operations struct{ deferral *deferral.Deferral }

func (o operations) ListOperations(ctx context.Context, req api.ListOperationsRequestObject) (api.ListOperationsResponseObject, error) {
	var state string
	if req.Params.State != nil {
		state = string(*req.Params.State)
	}
	items, next, err := o.deferral.List(ctx, identity.Caller(ctx), state, req.Params.Limit, req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	return api.ListOperations200JSONResponse{
		Body:    api.OperationPage{Items: items, NextCursor: next},
		Headers: api.ListOperations200ResponseHeaders{CacheControl: new("no-store"), Link: page.Link(ctx, next)},
	}, nil
}

func (o operations) GetOperation(ctx context.Context, req api.GetOperationRequestObject) (api.GetOperationResponseObject, error) {
	operation, retryAfter, err := o.deferral.Get(ctx, identity.Caller(ctx), req.OperationID)
	if err != nil {
		return nil, err
	}
	return api.GetOperation200JSONResponse{
		Body:    operation,
		Headers: api.GetOperation200ResponseHeaders{CacheControl: new("no-store"), RetryAfter: retryAfter},
	}, nil
}

func (o operations) WithdrawOperation(ctx context.Context, req api.WithdrawOperationRequestObject) (api.WithdrawOperationResponseObject, error) {
	if err := o.deferral.Withdraw(ctx, identity.Caller(ctx), req.OperationID); err != nil {
		return nil, err
	}
	return api.WithdrawOperation204Response{}, nil
}
