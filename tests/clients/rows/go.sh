#: expect
own resolver: www.example.net answers www.example.net, plain
own resolver: www.example.net answers www.example.net, tls
C library: www.example.net answers www.example.net, tls
#: run
cat >main.go <<'X'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	for _, name := range []string{"HTTP", "TLS"} {
		answer, err := http.Get(os.Getenv(name) + "/hello")
		if err != nil {
			panic(err)
		}
		io.Copy(os.Stdout, answer.Body)
	}
}
X
go build -o client main.go
GODEBUG=netdns=go ./client | sed 's/^/own resolver: /'
GODEBUG=netdns=cgo ./client | sed 's/^/C library: /'
