package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

const (
	// Everyone is the role that everyone has who signed up.
	Everyone = "patient"
	// Machine is the role of an application that asks for itself, by client credentials. No person has it.
	Machine = "service"
	// scheme is how the contract calls what we issue.
	scheme = "healthe"
)

// Roles says which scopes each role has.
type Roles map[string][]string

// LoadRoles reads them from the contract, common.yaml: `x-healthe-roles`, and for machines the scopes of clientCredentials.
func LoadRoles() (Roles, error) {
	doc, err := contract.Load("common")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(doc.Extensions["x-healthe-roles"])
	if err != nil {
		return nil, err
	}
	var roles Roles
	if err := json.Unmarshal(text, &roles); err != nil {
		return nil, fmt.Errorf("x-healthe-roles: %w", err)
	}
	if len(roles[Everyone]) == 0 {
		return nil, errors.New("x-healthe-roles: says nothing of " + Everyone)
	}
	declared := doc.Components.SecuritySchemes[scheme]
	if declared == nil || declared.Value.Flows == nil || declared.Value.Flows.ClientCredentials == nil {
		return nil, errors.New("common.yaml: says nothing of clientCredentials")
	}
	roles[Machine] = slices.Sorted(maps.Keys(declared.Value.Flows.ClientCredentials.Scopes))
	return roles, nil
}

// Of returns the roles of a person that the contract knows.
func (r Roles) Of(person kratos.Identity) []string {
	roles := []string{Everyone}
	for _, role := range person.Roles() {
		if _, known := r[role]; known && role != Machine && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// Scopes returns what someone with these roles may do.
func (r Roles) Scopes(roles []string) []string {
	var scopes []string
	for _, role := range roles {
		for _, s := range r[role] {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

// Cut returns those of granted that someone with these roles may have.
func (r Roles) Cut(granted, roles []string) []string {
	may := r.Scopes(roles)
	return slices.DeleteFunc(slices.Clone(granted), func(s string) bool { return !slices.Contains(may, s) })
}
