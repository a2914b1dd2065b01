package catalog

import (
	"context"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

func (c *composites) ListCircuits(context.Context, api.ListCircuitsRequestObject) (api.ListCircuitsResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) WatchCircuits(context.Context, api.WatchCircuitsRequestObject) (api.WatchCircuitsResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) ShowCircuits(context.Context, api.ShowCircuitsRequestObject) (api.ShowCircuitsResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) ForceCircuit(context.Context, api.ForceCircuitRequestObject) (api.ForceCircuitResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) ReleaseCircuit(context.Context, api.ReleaseCircuitRequestObject) (api.ReleaseCircuitResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}

func (c *composites) ListCircuitOverrides(context.Context, api.ListCircuitOverridesRequestObject) (api.ListCircuitOverridesResponseObject, error) {
	return nil, problem.Unavailable("This operation")
}
