module github.com/healthe/healthe/bench

go 1.26.0
