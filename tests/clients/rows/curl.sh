#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
www.example.net got 3145728 bbd05cf6097ac9b1
v4.www.example.net answers v4.www.example.net, plain
v6.www.example.net answers v6.www.example.net, plain
#: run
curl -sSf "$HTTP/hello" "$TLS/hello"
head -c 3145728 /dev/zero >zeros
curl -sSf --data-binary @zeros "$TLS/"
curl -sSf "${HTTP/www/v4.www}/hello" "${HTTP/www/v6.www}/hello"
