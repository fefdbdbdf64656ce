#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
www.example.net heard one
#: run
export DENO_CERT=$CA DENO_NO_UPDATE_CHECK=1
cat >client.js <<'X'
for (const url of [Deno.env.get("HTTP"), Deno.env.get("TLS")]) console.log(await (await fetch(url + "/hello")).text());
const socket = new WebSocket(Deno.env.get("TLS").replace("http", "ws") + "/socket");
socket.onopen = () => socket.send("one");
socket.onmessage = (message) => { console.log(message.data); socket.close(); };
X
"$DEPS/workloads/node_modules/.bin/deno" run -A client.js
