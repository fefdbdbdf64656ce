#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
export NODE_EXTRA_CA_CERTS=$CA
node -e '
for (const [kind, url] of [["http", process.env.HTTP], ["https", process.env.TLS]])
  require(kind).get(url + "/hello", (answer) => answer.on("data", (data) => console.log(String(data))));'
