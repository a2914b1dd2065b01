// Auth runs the auth service.
package main

import (
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/services/auth"
)

func main() { server.Main("auth", auth.New) }
