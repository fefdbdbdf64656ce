#: expect
:assumed-role/
#: run
export AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1
NODE_PATH=$DEPS/workloads/node_modules /usr/bin/node --no-warnings -e '
const STS = require("aws-sdk/clients/sts");
new STS({ endpoint: process.env.URL }).getCallerIdentity({}).promise()
  .then(who => console.log(who.Arn), e => { console.error(String(e)); process.exit(1) })'
