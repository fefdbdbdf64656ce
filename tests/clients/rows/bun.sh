#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
www.example.net heard one
#: run
export NODE_EXTRA_CA_CERTS=$CA
cat >client.js <<'X'
for (const url of [process.env.HTTP, process.env.TLS]) console.log(await (await fetch(url + "/hello")).text());
const socket = new WebSocket(process.env.HTTP.replace("http", "ws") + "/socket");
socket.onopen = () => socket.send("one");
socket.onmessage = (message) => { console.log(message.data); socket.close(); };
X
"$DEPS/workloads/node_modules/.bin/bun" client.js
