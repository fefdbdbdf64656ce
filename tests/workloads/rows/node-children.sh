#: expect
execSync: from a shell
ipc: pong 42
status 3
#: setup
cat >c.js <<'X'
const { execSync, execFileSync, spawnSync, spawn, fork } = require('child_process');
if (process.argv[2] === 'child') {
  process.on('message', (m) => { process.send({ pong: m.ping }); process.disconnect(); });
} else {
  console.log('execSync:', execSync('echo from a shell').toString().trim());
  console.log('execFileSync:', execFileSync('/bin/sh', ['-c', 'cat'], { input: 'from a pipe' }).toString());
  console.log('status', spawnSync('sh', ['-c', 'exit 3']).status, spawnSync('sh', ['-c', 'kill -TERM $$']).signal);
  const child = fork(__filename, ['child']);
  child.on('message', (m) => console.log('ipc: pong', m.pong));
  child.on('exit', (code) => {
    console.log('fork ended', code);
    const piped = spawn('tr', ['a-z', 'A-Z']);
    piped.stdout.on('data', (d) => console.log(d.toString()));
    const late = spawn('sleep', ['100']);
    late.on('exit', (_, signal) => console.log('ended by', signal));
    piped.on('exit', () => late.kill());
    piped.stdin.end('upper case');
  });
  child.send({ ping: 42 });
}
X
#: run
node c.js
