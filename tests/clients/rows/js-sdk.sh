#: expect
111122223333 sts.eu-west-1.amazonaws.com
#: run
export NODE_EXTRA_CA_CERTS=$CA
node --no-warnings -e '
const { STSClient, GetCallerIdentityCommand } = require(process.env.DEPS + "/npm/node_modules/@aws-sdk/client-sts");
const client = new STSClient({ region: "eu-west-1" });
let host;
client.middlewareStack.add((next) => (args) => { host = args.request.hostname; return next(args); }, { step: "finalizeRequest" });
client.send(new GetCallerIdentityCommand({})).then((answer) => console.log(answer.Account, host));'
