#: expect
33554432
e09320c5b00b34bb
#: run
curl -sSf "$TLS/large" -o large
stat -c %s large
sha256sum large | cut -c1-16
