#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
wget -q -O - "$HTTP/hello" "$TLS/hello"
