#: expect
grpc.example.net greets you
grpc.example.net counts 3
status OK
#: serve
cat >grpc.js <<'X'
const grpc = require(process.env.DEPS + "/workloads/node_modules/@grpc/grpc-js");
const fs = require("fs");
const [certificate, key, address] = process.argv.slice(2);
const text = { requestSerialize: Buffer.from, requestDeserialize: String, responseSerialize: Buffer.from, responseDeserialize: String };
const service = {
  greet: { path: "/Greeter/Greet", requestStream: false, responseStream: false, ...text },
  count: { path: "/Greeter/Count", requestStream: false, responseStream: true, ...text },
};
const server = new grpc.Server();
server.addService(service, {
  greet: (call, answer) => answer(null, "grpc.example.net greets " + call.request),
  count: (call) => { for (let i = 1; i <= Number(call.request); i++) call.write("grpc.example.net counts " + i); call.end(); },
});
const credentials = grpc.ServerCredentials.createSsl(null, [{ cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(key) }]);
server.bindAsync(address, credentials, (error) => { if (error) throw error; fs.writeFileSync("grpc.ready", ""); });
X
for address in $(getent ahosts grpc.example.net | awk '/STREAM/ { print $1 }'); do
    case $address in *:*) address="[$address]" ;; esac
    node grpc.js "$CERTIFICATE" "$KEY" "$address:443" >/dev/null 2>&1 &
    until [ -e grpc.ready ]; do sleep 0.05; done
    rm grpc.ready
done
#: run
cat >client.js <<'X'
const grpc = require(process.env.DEPS + "/workloads/node_modules/@grpc/grpc-js");
const client = new grpc.Client("grpc.example.net:443", grpc.credentials.createSsl(require("fs").readFileSync(process.env.CA)));
client.makeUnaryRequest("/Greeter/Greet", Buffer.from, String, "you", (error, answer) => {
  if (error) throw error;
  console.log(answer);
  const stream = client.makeServerStreamRequest("/Greeter/Count", Buffer.from, String, "3");
  stream.on("data", (text) => console.log(text));
  stream.on("status", (status) => { console.log("status", grpc.status[status.code]); client.close(); });
});
X
node client.js
