#: expect
:assumed-role/
#: run
NODE_PATH=$DEPS/npm/node_modules /usr/bin/node --no-warnings -e '
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
new STSClient({ endpoint: process.env.URL }).send(new GetCallerIdentityCommand({}))
  .then(who => console.log(who.Arn), e => { console.error(String(e)); process.exit(1) })'
