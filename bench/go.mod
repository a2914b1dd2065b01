module github.com/healthe/healthe/bench

go 1.26.0

require (
	github.com/healthe/healthe/dev v0.0.0
	github.com/healthe/healthe/openapi v0.0.0
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/fergusstrange/embedded-postgres v1.34.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/lib/pq v1.10.9 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
	github.com/xi2/xz v0.0.0-20171230120015-48954b6210f8 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)

replace (
	github.com/healthe/healthe/dev => ../dev
	github.com/healthe/healthe/openapi => ../openapi
)

require github.com/healthe/healthe/bench/ratio v0.0.0

replace github.com/healthe/healthe/bench/ratio => ./ratio
