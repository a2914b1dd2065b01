module github.com/healthe/healthe/sdk/go

go 1.26.0

require (
	github.com/google/uuid v1.6.0
	github.com/healthe/healthe/openapi v0.0.0
	github.com/oapi-codegen/runtime v1.8.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/oauth2 v0.37.0
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/healthe/healthe/openapi => ../../openapi
