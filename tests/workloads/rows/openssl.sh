#: expect
leaf.pem: OK
Verified OK
CONNECTED
#: alike
s/^CONNECTED\(.*/CONNECTED/
#: run
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=CA' 2>/dev/null
openssl req -new -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj '/CN=localhost' 2>/dev/null
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 1 2>/dev/null
openssl verify -CAfile ca.pem leaf.pem
echo data >d; openssl dgst -sha256 -sign leaf.key -out d.sig d; openssl x509 -in leaf.pem -pubkey -noout >leaf.pub; openssl dgst -sha256 -verify leaf.pub -signature d.sig d
openssl enc -aes-256-cbc -pbkdf2 -k pass -in d -out d.enc; openssl enc -d -aes-256-cbc -pbkdf2 -k pass -in d.enc; openssl rand -hex 8 | wc -c
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
openssl s_server -quiet -accept "127.0.0.1:$port" -cert leaf.pem -key leaf.key -www >/dev/null 2>&1 & server=$!
for i in $(seq 100); do openssl s_client -connect "127.0.0.1:$port" -CAfile ca.pem </dev/null >out 2>/dev/null && break; sleep 0.1; done
grep -E '^CONNECTED|Verify return code|^New,' out | sed 's/^ *//' | sort -u; kill $server
