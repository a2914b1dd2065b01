module github.com/healthe/healthe/e2e

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/coreos/go-oidc/v3 v3.21.0
	github.com/getkin/kin-openapi v0.153.0
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/google/uuid v1.6.0
	github.com/healthe/healthe/dev v0.0.0
	github.com/healthe/healthe/kit v0.0.0-00010101000000-000000000000
	github.com/healthe/healthe/openapi v0.0.0
	github.com/jackc/pgx/v5 v5.12.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/crypto v0.58.0
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
)

require (
	github.com/fergusstrange/embedded-postgres v1.34.0 // indirect
	github.com/go-openapi/jsonpointer v1.0.0 // indirect
	github.com/healthe/healthe/sdk/go v0.0.0
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/lib/pq v1.10.9 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // indirect
	github.com/xi2/xz v0.0.0-20171230120015-48954b6210f8 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/oauth2 v0.37.0
	golang.org/x/text v0.43.0 // indirect
)

replace (
	github.com/healthe/healthe/db => ../db
	github.com/healthe/healthe/dev => ../dev
	github.com/healthe/healthe/kit => ../kit
	github.com/healthe/healthe/openapi => ../openapi
	github.com/healthe/healthe/sdk/go => ../sdk/go
)
