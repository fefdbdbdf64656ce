#: expect
static binary
--- PASS: TestSum
#: alike
s/\([0-9.]+s\)/(Ns)/; s/\t[0-9.]+s$/\tNs/
#: setup
printf 'module example.com/app\n\ngo 1.19\n' >go.mod
cat >main.go <<'X'
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"sync"
)

func Sum(n int) int {
	var wg sync.WaitGroup
	parts := make(chan int, n)
	for i := 1; i <= n; i++ {
		wg.Add(1)
		go func(i int) { defer wg.Done(); parts <- i }(i)
	}
	wg.Wait()
	close(parts)
	sum := 0
	for p := range parts {
		sum += p
	}
	return sum
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "served ", r.URL.Path) }))
	answer, err := http.Get("http://" + l.Addr().String() + "/there")
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(answer.Body)
	out, err := exec.Command("sh", "-c", "echo child").CombinedOutput()
	fmt.Println(Sum(1000), string(body), string(out), err, runtime.NumCPU())
	names, err := net.LookupHost("localhost")
	fmt.Println(len(names) > 0, err)
}
X
cat >main_test.go <<'X'
package main

import "testing"

func TestSum(t *testing.T) {
	if Sum(10) != 55 {
		t.Fail()
	}
}
X
#: run
CGO_ENABLED=0 go build -o app .
file app | grep -q 'statically linked' && echo static binary
./app
go vet . && go test -v .
