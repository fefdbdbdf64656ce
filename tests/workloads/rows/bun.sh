#: expect
served /x
1 pass
#: alike
s/\[[0-9.]+ ?m?s\]/[N ms]/g
#: setup
cat >b.ts <<'X'
import { Database } from 'bun:sqlite';
const child = Bun.spawnSync(['sh', '-c', 'echo child; exit 3']);
console.log(child.stdout.toString().trim(), child.exitCode);
const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (q) => new Response('served ' + new URL(q.url).pathname) });
console.log(await (await fetch(`http://127.0.0.1:${server.port}/x`)).text());
server.stop(true);
await Bun.write('f', 'written');
console.log(await Bun.file('f').text(), new Database(':memory:').query('select 40 + 2 as n').get());
const worker = new Worker(URL.createObjectURL(new Blob(['postMessage(7)'])));
worker.onmessage = (e) => { console.log('worker', e.data); worker.terminate(); };
X
printf "import { test, expect } from 'bun:test';\ntest('adds', () => expect(1 + 1).toBe(2));\n" >a.test.ts
echo '{"name":"app","scripts":{"hello":"echo from a script"}}' >package.json
#: run
bun="$DEPS/workloads/node_modules/bun/bin/bun.exe"
"$bun" b.ts
"$bun" run hello; "$bun" test a.test.ts; "$bun" build b.ts --target bun --outfile out.js >/dev/null && "$bun" out.js | head -n 1
