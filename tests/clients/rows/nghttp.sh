#: expect
h2.example.net speaks 2.0 of /x
h2.example.net speaks 2.0 of /y
#: serve
cat >h2.js <<'X'
const [certificate, key, address] = process.argv.slice(2);
const fs = require("fs");
const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
const server = require("http2").createSecureServer(options, (request, response) =>
  response.end(`h2.example.net speaks ${request.httpVersion} of ${request.url}\n`));
server.listen(443, address, () => fs.writeFileSync("h2.ready", ""));
X
for address in $(getent ahosts h2.example.net | awk '/STREAM/ { print $1 }'); do
    node h2.js "$CERTIFICATE" "$KEY" "$address" >/dev/null 2>&1 &
    until [ -e h2.ready ]; do sleep 0.05; done
    rm h2.ready
done
#: run
nghttp https://h2.example.net/x https://h2.example.net/y
