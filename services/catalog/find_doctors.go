package catalog

import (
	"context"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

func (c *composites) FindDoctors(context.Context, api.FindDoctorsRequestObject) (api.FindDoctorsResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}
