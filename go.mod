// The root module holds only repo_test.go, the rules of this repository.
module github.com/healthe/healthe

go 1.26.0
