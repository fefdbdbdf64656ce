#: expect
served /x
#: setup
cat >d.ts <<'X'
const child = await new Deno.Command('sh', { args: ['-c', 'echo child; exit 3'] }).output();
console.log(new TextDecoder().decode(child.stdout).trim(), child.code);
const server = Deno.serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, (q) => new Response('served ' + new URL(q.url).pathname));
console.log(await (await fetch(`http://127.0.0.1:${server.addr.port}/x`)).text());
await server.shutdown();
const watcher = Deno.watchFs('.');
setTimeout(() => Deno.writeTextFileSync('seen', 'x'), 100);
for await (const event of watcher) { if (event.paths.some((p) => p.endsWith('seen'))) { console.log('watched'); break; } }
const worker = new Worker('data:text/javascript,postMessage(7)', { type: 'module' });
worker.onmessage = (e) => { console.log('worker', e.data); Deno.exit(0); };
X
#: run
export NO_COLOR=1 DENO_NO_UPDATE_CHECK=1
deno="$DEPS/workloads/node_modules/deno/deno"
"$deno" run --no-remote --allow-all d.ts
"$deno" eval 'console.log(Deno.build.os, navigator.hardwareConcurrency > 0)'; "$deno" fmt --check d.ts >/dev/null 2>&1 || echo not formatted
