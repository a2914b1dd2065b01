module github.com/healthe/healthe/bench/ratio

go 1.26.0
