//! The rules around a signature: clock, scope, and a readable claim.

use super::*;
use crate::sigv4::parse;

fn claim_at(timestamp: &str, expires: Option<i64>) -> Claim {
    let headers = [
        ("x-amz-date".to_owned(), timestamp.as_bytes().to_vec()),
        (
            "authorization".to_owned(),
            b"AWS4-HMAC-SHA256 Credential=A/20150830/eu-west-1/sts/aws4_request,SignedHeaders=host,Signature=0"
                .to_vec(),
        ),
    ];
    let request = SignedRequest { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
    Claim { expires, ..parse(&request).unwrap() }
}

#[test]
fn a_signature_is_good_for_five_minutes_either_way() {
    let now = crate::clock::parse_signing_time("20150830T120000Z").unwrap();
    for (timestamp, expected) in [
        ("20150830T115500Z", Ok(())),
        ("20150830T120500Z", Ok(())),
        (
            "20150830T115459Z",
            Err("Signature expired: 20150830T115459Z is now earlier than 20150830T115500Z (20150830T120000Z - 5 min.)"),
        ),
        (
            "20150830T120501Z",
            Err(
                "Signature not yet current: 20150830T120501Z is still later than 20150830T120500Z (20150830T120000Z + 5 min.)",
            ),
        ),
    ] {
        let result = check_time(&claim_at(timestamp, None), now).map_err(|error| error.message);
        assert_eq!(result, expected.map_err(str::to_owned));
    }
    assert_eq!(check_time(&claim_at("20150830T115500Z", Some(301)), now), Ok(()));
    assert_eq!(check_time(&claim_at("20150830T115459Z", Some(60)), now).unwrap_err().code, "RequestExpired");
    assert_eq!(check_time(&claim_at("20150830T120501Z", Some(60)), now).unwrap_err().code, CLOCK_SKEW);
}

#[test]
fn a_scope_names_the_day_a_region_and_the_terminator() {
    let good = claim_at("20150830T120000Z", None);
    assert_eq!(check_scope(&good), Ok(()));
    for (claim, reason) in [
        (Claim { date: "20150829".to_owned(), ..good.clone() }, "'20150829' != '20150830', from '20150830T120000Z'"),
        (Claim { region: "aws-global-x".to_owned(), ..good.clone() }, "valid region"),
        (Claim { region: String::new(), ..good.clone() }, "valid region"),
        (Claim { terminator: "aws5_request".to_owned(), ..good.clone() }, "not 'aws5_request'"),
    ] {
        let error = check_scope(&claim).unwrap_err();
        assert_eq!(error.code, "SignatureDoesNotMatch");
        assert!(error.message.contains(reason), "{}", error.message);
    }
    for region in ["us-east-1", "us-gov-west-1", "ap-southeast-10", "us-iso-east-1"] {
        assert_eq!(check_scope(&Claim { region: region.to_owned(), ..good.clone() }), Ok(()), "{region}");
    }
}

#[test]
fn an_authorization_header_without_a_part_is_told_which() {
    for (authorization, reason) in [
        ("Basic x", "Unsupported AWS 'algorithm'"),
        ("AWS4-HMAC-SHA256 SignedHeaders=host,Signature=0", "'Credential'"),
        ("AWS4-HMAC-SHA256 Credential=A/1/r/s/t,Signature=0", "'SignedHeaders'"),
        ("AWS4-HMAC-SHA256 Credential=A/1/r/s/t,SignedHeaders=host", "'Signature'"),
        ("AWS4-HMAC-SHA256 Credential=A/1/r/s,SignedHeaders=host,Signature=0", "exactly 5"),
        ("AWS4-HMAC-SHA256 Signature=1,Credential=A/1/r/s/t,SignedHeaders=host,Signature=0", "given twice"),
        ("AWS4-HMAC-SHA256 Credential=A/1/r/s/t,SignedHeaders=host,Signature=0", "'X-Amz-Date'"),
    ] {
        let headers = [("authorization".to_owned(), authorization.as_bytes().to_vec())];
        let request = SignedRequest { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
        let error = if reason == "exactly 5" || reason == "given twice" {
            let dated = [headers[0].clone(), ("x-amz-date".to_owned(), b"20150830T123600Z".to_vec())];
            parse(&SignedRequest { headers: &dated, ..request }).unwrap_err()
        } else {
            parse(&request).unwrap_err()
        };
        assert_eq!(error.code, "IncompleteSignature");
        assert!(error.message.contains(reason), "{authorization}: {}", error.message);
    }
    let anonymous = SignedRequest { method: "GET", path: "/", query: "", headers: &[], body: b"" };
    assert_eq!(parse(&anonymous).unwrap_err().code, "MissingAuthenticationToken");
}
