#: expect
echo over s.sock
#: setup
cat >u.js <<'X'
const net = require('net');
const path = process.argv[2];
const server = net.createServer((s) => s.pipe(s)).listen(path, () => {
  const client = net.connect(path, () => client.end('echo over ' + path.split('/').pop()));
  client.on('data', (d) => console.log(d.toString())).on('close', () => server.close());
});
X
#: run
node u.js ./s.sock
node u.js /tmp/t.sock
node -e 'const net = require("net"), p = "\0agent-aws-test-" + require("crypto").randomUUID(); net.createServer(s => s.end("abstract")).listen(p, function () { net.connect(p).on("data", d => { console.log(d.toString()); this.close() }) })'
