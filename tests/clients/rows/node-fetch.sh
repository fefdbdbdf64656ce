#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
export NODE_EXTRA_CA_CERTS=$CA
node --no-warnings -e '(async () => { for (const url of [process.env.HTTP, process.env.TLS]) console.log(await (await fetch(url + "/hello")).text()); })()'
