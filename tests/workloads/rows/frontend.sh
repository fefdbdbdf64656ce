#: expect
bundled: 3
error TS2322
#: alike
s/ in [0-9.]+m?s/ in N ms/
#: setup
mkdir src; echo 'export const add = (a: number, b: number): number => a + b;' >src/add.ts; echo 'import { add } from "./add"; console.log("bundled: " + add(1, 2));' >src/main.ts
echo 'const n: number = "text";' >bad.ts
#: run
bin="$DEPS/workloads/node_modules/.bin"
"$bin/esbuild" src/main.ts --bundle --platform=node --outfile=out.js --log-level=warning && node out.js
"$bin/tsc" --noEmit --strict --types '' --lib es2022,dom src/main.ts && echo checked; "$bin/tsc" --noEmit bad.ts || echo "status $?"
file -bL "$DEPS/workloads/node_modules/@esbuild/"*/bin/esbuild | grep -o 'statically linked'
"$bin/esbuild" src/main.ts --bundle --platform=node --outfile=watched.js --watch=forever --log-level=info >log 2>&1 & p=$!
for i in $(seq 100); do grep -q 'build finished' log && break; sleep 0.1; done; sed -i 's/1, 2/20, 22/' src/main.ts
for i in $(seq 100); do grep -q 42 <(node watched.js) && break; sleep 0.1; done; node watched.js; kill $p
