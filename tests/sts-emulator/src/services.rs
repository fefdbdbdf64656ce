//! Just enough IAM, SQS, S3, Lambda and Bedrock to see a session policy at work: which action on which resource a request is, and
//! a plausible empty answer.

use md5::{Digest as _, Md5};

use crate::answer::{Answer, IAM, Protocol, SQS, element};
use crate::encoding::percent_decode;
use crate::error::ApiError;
use crate::ids::request_id;
use crate::params::Params;
use crate::sigv4::SignedRequest;

/// What a request asks to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) protocol: Protocol,
    /// As IAM calls it, without the service; empty when the request names none.
    pub(crate) action: String,
    /// An ARN or `*`.
    pub(crate) resource: String,
}

/// The protocol of a request to `service`, known before its action is.
pub(crate) fn protocol(service: &str, request: &SignedRequest<'_>) -> Option<Protocol> {
    match service {
        "sts" => Some(crate::answer::STS),
        "iam" => Some(IAM),
        "sqs" if request.header("x-amz-target").is_some() => Some(Protocol::AwsJson),
        "sqs" => Some(SQS),
        "s3" => Some(Protocol::RestXml),
        "lambda" | "bedrock" => Some(Protocol::RestJson),
        _ => None,
    }
}

/// Reads action and resource of a request to one of the services.
pub(crate) fn operation(
    service: &str,
    request: &SignedRequest<'_>,
    params: &Params,
    account: &str,
    region: &str,
) -> Option<Operation> {
    let protocol = protocol(service, request)?;
    let (action, resource) = match service {
        "iam" => (params.get("Action").unwrap_or_default().to_owned(), iam_resource(params, account)),
        "sqs" => (sqs_action(request, params), sqs_resource(params, account, region)),
        "s3" => s3_operation(request)?,
        "lambda" => lambda_operation(request, account, region)?,
        "bedrock" => bedrock_operation(request, region)?,
        _ => return None,
    };
    Some(Operation { protocol, action, resource })
}

fn iam_resource(params: &Params, account: &str) -> String {
    let action = params.get("Action").unwrap_or_default();
    for (word, parameter, kind) in [("Role", "RoleName", "role"), ("User", "UserName", "user")] {
        if action.contains(word) {
            return format!("arn:aws:iam::{account}:{kind}/{}", params.get(parameter).unwrap_or_default());
        }
    }
    "*".to_owned()
}

fn sqs_action(request: &SignedRequest<'_>, params: &Params) -> String {
    let target = request.header("x-amz-target").and_then(|target| target.strip_prefix("AmazonSQS."));
    target.or_else(|| params.get("Action")).unwrap_or_default().to_owned()
}

/// A queue URL ends in `/ACCOUNT/NAME`.
fn sqs_resource(params: &Params, account: &str, region: &str) -> String {
    let from_url = params.get("QueueUrl").and_then(|url| {
        let mut parts = url.rsplit('/');
        let (name, owner) = (parts.next()?, parts.next()?);
        Some(format!("arn:aws:sqs:{region}:{owner}:{name}"))
    });
    let from_name = || params.get("QueueName").map(|name| format!("arn:aws:sqs:{region}:{account}:{name}"));
    from_url.or_else(from_name).unwrap_or_else(|| "*".to_owned())
}

/// Path style only: `/BUCKET/KEY`.
fn s3_operation(request: &SignedRequest<'_>) -> Option<(String, String)> {
    let path = String::from_utf8(percent_decode(request.path.as_bytes(), false)).ok()?;
    let (bucket, key) = path.strip_prefix('/')?.split_once('/').unwrap_or((path.strip_prefix('/')?, ""));
    let action = match (request.method, bucket.is_empty(), key.is_empty()) {
        ("GET", true, true) => return Some(("ListAllMyBuckets".to_owned(), "*".to_owned())),
        (_, true, _) => return None,
        ("GET" | "HEAD", _, true) => "ListBucket",
        ("PUT", _, true) => "CreateBucket",
        ("DELETE", _, true) => "DeleteBucket",
        ("GET" | "HEAD", _, false) => "GetObject",
        ("PUT" | "POST", _, false) => "PutObject",
        ("DELETE", _, false) => "DeleteObject",
        _ => return None,
    };
    let slash = if key.is_empty() { "" } else { "/" };
    Some((action.to_owned(), format!("arn:aws:s3:::{bucket}{slash}{key}")))
}

fn lambda_operation(request: &SignedRequest<'_>, account: &str, region: &str) -> Option<(String, String)> {
    let path = String::from_utf8(percent_decode(request.path.as_bytes(), false)).ok()?;
    let rest = path.strip_prefix("/2015-03-31/functions")?.trim_matches('/');
    let (name, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let action = match (request.method, name.is_empty(), tail) {
        ("GET", true, "") => return Some(("ListFunctions".to_owned(), "*".to_owned())),
        ("POST", false, "invocations") => "InvokeFunction",
        ("GET", false, "") => "GetFunction",
        _ => return None,
    };
    let arn = if name.starts_with("arn:") {
        name.to_owned()
    } else {
        format!("arn:aws:lambda:{region}:{account}:function:{name}")
    };
    Some((action.to_owned(), arn))
}

/// A model is asked for words, all at once or as a stream.
fn bedrock_operation(request: &SignedRequest<'_>, region: &str) -> Option<(String, String)> {
    let path = String::from_utf8(percent_decode(request.path.as_bytes(), false)).ok()?;
    let (model, way) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let action = match (request.method, way) {
        ("POST", "invoke") => "InvokeModel",
        ("POST", "invoke-with-response-stream") => "InvokeModelWithResponseStream",
        _ => return None,
    };
    Some((action.to_owned(), format!("arn:aws:bedrock:{region}::foundation-model/{model}")))
}

/// The answer to an allowed operation.
pub(crate) fn answer(operation: &Operation, params: &Params) -> Result<Answer, ApiError> {
    let action = operation.action.as_str();
    match operation.protocol {
        Protocol::Query(_) if operation.protocol == IAM => {
            expect_version(action, params, "2010-05-08")?;
            let list = if action == "ListUsers" { "<Users/>" } else { "" };
            Ok(operation.protocol.result(action, &format!("{list}<IsTruncated>false</IsTruncated>")))
        }
        Protocol::Query(_) => {
            expect_version(action, params, "2012-11-05")?;
            let sent: String = sent_message(action, params).iter().map(|(name, text)| element(name, text)).collect();
            Ok(operation.protocol.result(action, &sent))
        }
        Protocol::AwsJson => {
            let sent = sent_message(action, params);
            let object: serde_json::Map<String, serde_json::Value> =
                sent.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
            Ok(Answer { content_type: "application/x-amz-json-1.0", ..Answer::json(200, &object.into()) })
        }
        Protocol::RestXml => Ok(s3_answer(action)),
        Protocol::RestJson if action == "ListFunctions" => Ok(Answer::json(200, &serde_json::json!({"Functions": []}))),
        Protocol::RestJson if action.starts_with("InvokeModel") => {
            Err(ApiError::new(400, "ValidationException", "The emulator has no model."))
        }
        Protocol::RestJson => Ok(Answer::json(200, &serde_json::json!({}))),
    }
}

fn expect_version(action: &str, params: &Params, wanted: &str) -> Result<(), ApiError> {
    let version = params.get("Version").unwrap_or("NO_VERSION_SPECIFIED");
    if version == wanted {
        return Ok(());
    }
    Err(ApiError::new(400, "InvalidAction", format!("Could not find operation {action} for version {version}")))
}

/// Clients check this digest of what they sent.
fn sent_message(action: &str, params: &Params) -> Vec<(&'static str, String)> {
    if action != "SendMessage" {
        return Vec::new();
    }
    let digest = hex::encode(Md5::digest(params.get("MessageBody").unwrap_or_default()));
    vec![("MessageId", request_id()), ("MD5OfMessageBody", digest)]
}

fn s3_answer(action: &str) -> Answer {
    const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
    match action {
        "ListAllMyBuckets" => {
            let body = format!("<ListAllMyBucketsResult xmlns=\"{XMLNS}\"><Buckets/></ListAllMyBucketsResult>");
            Answer::new(200, "application/xml", body)
        }
        "ListBucket" => {
            let body = format!(
                "<ListBucketResult xmlns=\"{XMLNS}\"><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
            );
            Answer::new(200, "application/xml", body)
        }
        "GetObject" => Answer::new(200, "binary/octet-stream", "emulated object\n"),
        "DeleteObject" | "DeleteBucket" => Answer::new(204, "application/xml", ""),
        _ => Answer::new(200, "application/xml", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(service: &str, method: &str, path: &str, body: &str) -> Option<(String, String)> {
        let request = SignedRequest { method, path, query: "", headers: &[], body: body.as_bytes() };
        let params = Params::decode(&[body.as_bytes()]);
        operation(service, &request, &params, "111122223333", "eu-west-1").map(|op| (op.action, op.resource))
    }

    #[test]
    fn each_request_is_read_as_the_action_iam_calls_it() {
        for (service, method, path, body, action, resource) in [
            ("iam", "POST", "/", "Action=ListUsers", "ListUsers", "arn:aws:iam::111122223333:user/"),
            ("iam", "POST", "/", "Action=GetRole&RoleName=r", "GetRole", "arn:aws:iam::111122223333:role/r"),
            ("sqs", "POST", "/", "Action=PurgeQueue&QueueUrl=http://h/1/q", "PurgeQueue", "arn:aws:sqs:eu-west-1:1:q"),
            ("s3", "GET", "/", "", "ListAllMyBuckets", "*"),
            ("s3", "GET", "/b", "", "ListBucket", "arn:aws:s3:::b"),
            ("s3", "GET", "/b/", "", "ListBucket", "arn:aws:s3:::b"),
            ("s3", "PUT", "/b/k%20x/y", "", "PutObject", "arn:aws:s3:::b/k x/y"),
            ("s3", "GET", "/b/k", "", "GetObject", "arn:aws:s3:::b/k"),
            (
                "lambda",
                "POST",
                "/2015-03-31/functions/f/invocations",
                "",
                "InvokeFunction",
                "arn:aws:lambda:eu-west-1:111122223333:function:f",
            ),
            ("lambda", "GET", "/2015-03-31/functions/", "", "ListFunctions", "*"),
            (
                "bedrock",
                "POST",
                "/model/m%3A0/invoke",
                "",
                "InvokeModel",
                "arn:aws:bedrock:eu-west-1::foundation-model/m:0",
            ),
        ] {
            assert_eq!(
                read(service, method, path, body),
                Some((action.to_owned(), resource.to_owned())),
                "{service} {method} {path}"
            );
        }
    }

    #[test]
    fn a_request_we_do_not_know_is_no_operation() {
        assert_eq!(read("lambda", "DELETE", "/2015-03-31/functions/f", ""), None);
        assert_eq!(read("s3", "PATCH", "/b/k", ""), None);
        assert_eq!(read("ec2", "POST", "/", "Action=RunInstances"), None);
    }
}
