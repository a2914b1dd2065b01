package catalog

import (
	"context"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

func (c *composites) GetDay(context.Context, api.GetDayRequestObject) (api.GetDayResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}
