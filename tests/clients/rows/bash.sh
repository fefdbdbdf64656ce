#: expect
www.example.net answers www.example.net, plain
#: run
exec 3<>/dev/tcp/www.example.net/80
printf 'GET /hello HTTP/1.1\r\nHost: www.example.net\r\nConnection: close\r\n\r\n' >&3
cat <&3
