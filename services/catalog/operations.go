package catalog

import (
	"context"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

func (c *composites) ListOperations(context.Context, api.ListOperationsRequestObject) (api.ListOperationsResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) GetOperation(context.Context, api.GetOperationRequestObject) (api.GetOperationResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) WithdrawOperation(context.Context, api.WithdrawOperationRequestObject) (api.WithdrawOperationResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}
