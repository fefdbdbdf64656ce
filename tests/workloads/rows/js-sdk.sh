#: expect
111122223333
#: run
node --no-warnings -e 'const { STSClient, GetCallerIdentityCommand } = require(process.env.DEPS + "/npm/node_modules/@aws-sdk/client-sts"); new STSClient({ endpoint: process.env.STS, region: "eu-west-1" }).send(new GetCallerIdentityCommand({})).then(a => console.log(a.Account))'
