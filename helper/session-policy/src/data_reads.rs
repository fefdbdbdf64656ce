//! The data table of `access = "read-metadata"`.

/// An action that reads what is stored, not how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRead {
    /// In IAM's words, `*` allowed in the action.
    pub action: &'static str,
    /// What it would hand out.
    pub reason: &'static str,
}

const fn row(action: &'static str, reason: &'static str) -> DataRead {
    DataRead { action, reason }
}

/// Actions that hand out data, secrets or code, and that ReadOnlyAccess allows, or that a resource's own policy may.
///
/// STS takes 2,048 characters, and ReadOnlyAccess has over two thousand actions: this is what most accounts hold data
/// in, not every action of every service. What else matters at a site goes into `deny-actions`. A row denies no more
/// metadata than it must; a test keeps the whole below 1,600 characters, so that there is room for those.
///
/// Sources: ReadOnlyAccess as published by AWS
/// (<https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ReadOnlyAccess.html>), and the actions of each
/// service (<https://docs.aws.amazon.com/service-authorization/latest/reference/>).
pub const DATA_READS: &[DataRead] = &[
    row("amplify:*App*", "environment of applications"),
    row("amplify:*Branch*", "environment of branches"),
    row("appconfig:Get*Configuration*", "configuration as applications read it"),
    row("apprunner:DescribeService", "environment of services"),
    row("athena:GetQueryResults*", "rows of queries"),
    row("batch:DescribeJob*", "environment and arguments of jobs"),
    row("cassandra:Select", "rows of Keyspaces tables"),
    row("cloudfront-keyvaluestore:*tKey*", "GetKey and ListKeys: values"),
    row("codebuild:BatchGet*", "environment of builds, output"),
    row("codecommit:GetBlob", "code"),
    row("codecommit:GetFile", "code"),
    row("codecommit:GitPull", "code"),
    row("cognito-identity:GetOpenIdToken*", "tokens STS takes for a role"),
    row("cognito-idp:AdminGetUser", "a user's attributes"),
    row("cognito-idp:DescribeUserPoolClient", "the client's secret"),
    row("cognito-idp:ListUsers*", "users' attributes"),
    row("dax:*GetItem", "items"),
    row("dax:Query", "items"),
    row("dax:Scan", "items"),
    row("dynamodb:*GetItem", "GetItem and BatchGetItem: items"),
    row("dynamodb:GetRecords", "items as they change"),
    row("dynamodb:PartiQLSelect", "items"),
    row("dynamodb:Query", "items"),
    row("dynamodb:Scan", "items"),
    row("ec2:DescribeInstanceAttribute", "user data, often with secrets"),
    row("ec2:DescribeLaunchTemplateVersions", "user data, often with secrets"),
    row("ec2:Get*Data", "passwords, user data of templates"),
    row("ec2:GetConsole*", "console output and screenshots"),
    row("ecr:GetDownloadUrlForLayer", "layers of images"),
    row("ecs:DescribeTaskDefinition", "environment of containers"),
    row("elasticbeanstalk:DescribeConfigurationSettings", "environment"),
    row("es:ESHttp*", "documents"),
    row("glacier:GetJobOutput", "archives"),
    row("healthlake:ReadResource", "health records"),
    row("healthlake:SearchWith*", "health records"),
    row("iot:GetRetainedMessage", "messages"),
    row("kinesis:GetRecords", "records"),
    row("kinesisvideo:Get*", "media"),
    row("kms:Decrypt", "whatever is encrypted; a key's own policy may allow it"),
    row("lambda:GetFunction", "code and environment"),
    row("lambda:GetFunctionConfiguration", "environment"),
    row("lambda:GetLayerVersion*", "code"),
    row("lambda:ListFunctions", "environment of each function"),
    row("lambda:ListVersionsByFunction", "environment of each version"),
    row("logs:FilterLogEvents", "log lines"),
    row("logs:GetLogEvents", "log lines"),
    row("logs:GetLogObject", "log lines"),
    row("logs:GetLogRecord", "log lines"),
    row("logs:GetQueryResults", "log lines"),
    row("logs:StartLiveTail", "log lines"),
    row("rds:Download*", "logs of databases, which may quote rows"),
    row("s3-object-lambda:GetObject*", "objects"),
    row("s3-outposts:GetObject*", "objects"),
    row("s3:GetObject*", "objects, their versions, tags and attributes"),
    row("s3tables:GetTableData", "rows"),
    row("s3vectors:*Vectors", "vectors and their metadata"),
    row("secretsmanager:GetSecretValue", "secrets"),
    row("sqs:ReceiveMessage", "messages"),
    row("ssm:*CommandInvocation*", "output of commands"),
    row("ssm:GetParameter*", "parameters and their history"),
    row("states:DescribeExecution", "input and output of executions"),
    row("states:GetExecutionHistory", "input and output of steps"),
];
