#: expect
sum 40000
#: setup
cat >w.js <<'X'
const { Worker, isMainThread, workerData } = require('worker_threads');
if (isMainThread) {
  const shared = new SharedArrayBuffer(4);
  const workers = [1, 2, 3, 4].map(() => new Promise((done) => new Worker(__filename, { workerData: shared }).on('exit', done)));
  Promise.all(workers).then((codes) => console.log('sum', new Int32Array(shared)[0], codes.join()));
} else {
  const cell = new Int32Array(workerData);
  for (let i = 0; i < 10000; i++) Atomics.add(cell, 0, 1);
}
X
#: run
node w.js
node -e 'console.log(require("os").availableParallelism(), require("zlib").gunzipSync(require("zlib").gzipSync("zlib")).toString(), require("crypto").pbkdf2Sync("a", "b", 1000, 8, "sha256").toString("hex"))'
node -e 'const f = require("fs/promises"); (async () => { const r = []; for (let i = 0; i < 50; i++) r.push(f.writeFile("f" + i, "x".repeat(i))); await Promise.all(r); console.log((await f.readdir(".")).length) })()'
