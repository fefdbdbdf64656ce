#: expect
GET /x 200
websocket-like upgrade
#: setup
cat >h.mjs <<'X'
import http from 'node:http';
import net from 'node:net';
import dns from 'node:dns/promises';
const server = http.createServer((q, a) => a.end(q.method + ' ' + q.url));
server.on('upgrade', (q, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nwebsocket-like upgrade'));
await new Promise((up) => server.listen(0, '127.0.0.1', up));
const { port } = server.address();
const all = await Promise.all([...Array(50)].map(() => fetch(`http://127.0.0.1:${port}/x`)));
console.log(await all[0].text(), all[49].status, all.length);
await new Promise((done) => {
  const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'));
  socket.on('data', (d) => { const text = d.toString(); if (text.includes('upgrade')) console.log(text.split('\n').pop()); }).on('close', done);
});
server.closeAllConnections();
server.close();
console.log((await dns.lookup('localhost')).address.length > 0);
X
#: run
node h.mjs
curl -sS "$URL/file"
node -e 'fetch(process.env.URL + "/file").then(a => a.text()).then(t => process.stdout.write("fetch " + t))'
#: served
echo from outside >file
