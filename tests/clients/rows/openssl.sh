#: expect
Verification: OK
www.example.net answers www.example.net, tls
#: run
printf 'GET /hello HTTP/1.1\r\nHost: www.example.net\r\nConnection: close\r\n\r\n' | openssl s_client -connect www.example.net:443 -servername www.example.net -ign_eof
