//! AWS's own published signatures: the SigV4 test suite, and the examples of the IAM and S3 documentation.

use super::*;
use crate::sigv4::parse;

const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const S3_SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A request with its `Authorization` header, and whether the secret signed it.
struct Example<'a> {
    secret: &'a str,
    method: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    scope: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl Example<'_> {
    fn check(&self) -> Result<(), ApiError> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}",
            self.scope, self.signed, self.signature
        );
        let mut headers: Vec<(String, Vec<u8>)> =
            self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec())).collect();
        if !self.signature.is_empty() {
            headers.push(("authorization".to_owned(), authorization.into_bytes()));
        }
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let request = SignedRequest { method: self.method, path, query, headers: &headers, body: self.body.as_bytes() };
        check_signature(&request, &parse(&request)?, self.secret)
    }
}

fn suite<'a>(
    method: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    signed: &'a str,
    body: &'a str,
    signature: &'a str,
) -> Example<'a> {
    Example {
        secret: SUITE_SECRET,
        method,
        target,
        headers,
        body,
        scope: "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
        signed,
        signature,
    }
}

const HOST: (&str, &str) = ("Host", "example.amazonaws.com");
const DATE: (&str, &str) = ("X-Amz-Date", "20150830T123600Z");
const PLAIN: &[(&str, &str)] = &[HOST, DATE];
const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

#[test]
fn the_get_requests_of_awss_test_suite_verify() {
    for (target, signature) in [
        ("/", VANILLA),
        ("/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("/?Param1=value1", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
        ("/?ሴ=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        ("/ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        ("/./", VANILLA),
        ("//", VANILLA),
        ("/example/..", VANILLA),
        ("/example1/example2/../..", VANILLA),
        ("//example//", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        ("/./example", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
        ("/example space/", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
        (
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
    ] {
        let example = suite("GET", target, PLAIN, "host;x-amz-date", "", signature);
        assert_eq!(example.check(), Ok(()), "{target}");
    }
}

#[test]
fn the_header_and_post_requests_of_awss_test_suite_verify() {
    let trim = [HOST, ("My-Header1", " value1"), ("My-Header2", " \"a   b   c\""), DATE];
    let duplicate = [HOST, ("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1"), DATE];
    let form = [("Content-Type", "application/x-www-form-urlencoded"), HOST, DATE];
    let both = "host;my-header1;my-header2;x-amz-date";
    for example in [
        suite("GET", "/", &trim, both, "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
        suite(
            "GET",
            "/",
            &duplicate,
            "host;my-header1;x-amz-date",
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        suite(
            "POST",
            "/",
            PLAIN,
            "host;x-amz-date",
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        suite(
            "POST",
            "/",
            &form,
            "content-type;host;x-amz-date",
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        assert_eq!(example.check(), Ok(()), "{:?}", example.headers);
    }
}

#[test]
fn the_example_of_the_iam_documentation_verifies() {
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"), ("Host", "iam.amazonaws.com"), DATE];
    let example = Example {
        scope: "AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
        ..suite(
            "GET",
            "/?Action=ListUsers&Version=2010-05-08",
            &headers,
            "content-type;host;x-amz-date",
            "",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        )
    };
    assert_eq!(example.check(), Ok(()));
}

const S3_SCOPE: &str = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
const S3_HOST: (&str, &str) = ("Host", "examplebucket.s3.amazonaws.com");
const S3_DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");
const EMPTY: (&str, &str) =
    ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

#[test]
fn the_examples_of_the_s3_documentation_verify() {
    let s3 = |example| Example { secret: S3_SECRET, scope: S3_SCOPE, ..example };
    let range = [S3_HOST, ("Range", "bytes=0-9"), EMPTY, S3_DATE];
    let put = [
        S3_HOST,
        ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
        S3_DATE,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
    ];
    let plain = [S3_HOST, EMPTY, S3_DATE];
    let signed = "host;x-amz-content-sha256;x-amz-date";
    for example in [
        suite(
            "GET",
            "/test.txt",
            &range,
            "host;range;x-amz-content-sha256;x-amz-date",
            "",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        suite(
            "PUT",
            "/test%24file.text",
            &put,
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        suite(
            "GET",
            "/?lifecycle",
            &plain,
            signed,
            "",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        suite(
            "GET",
            "/?max-keys=2&prefix=J",
            &plain,
            signed,
            "",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        assert_eq!(s3(example).check(), Ok(()));
    }
    let presigned = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                     &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert_eq!(s3(suite("GET", presigned, &[S3_HOST], "", "", "")).check(), Ok(()));
}

#[test]
fn any_change_to_a_signed_request_breaks_its_signature() {
    let good = || suite("GET", "/", PLAIN, "host;x-amz-date", "", VANILLA);
    assert_eq!(good().check(), Ok(()));
    let other_host = [("Host", "example.amazonaws.org"), DATE];
    let other_time = [HOST, ("X-Amz-Date", "20150830T123601Z")];
    for changed in [
        Example { secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEy", ..good() },
        Example { secret: "", ..good() },
        Example { method: "PUT", ..good() },
        Example { target: "/?", body: "x", ..good() },
        Example { target: "/x", ..good() },
        Example { target: "/?x", ..good() },
        Example { headers: &other_host, ..good() },
        Example { headers: &other_time, ..good() },
        Example { scope: "AKIDEXAMPLE/20150831/us-east-1/service/aws4_request", ..good() },
        Example { scope: "AKIDEXAMPLE/20150830/us-east-2/service/aws4_request", ..good() },
        Example { scope: "AKIDEXAMPLE/20150830/us-east-1/sts/aws4_request", ..good() },
        Example { signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf30", ..good() },
        Example { signature: "5fa0", ..good() },
    ] {
        assert_eq!(changed.check().unwrap_err().code, "SignatureDoesNotMatch");
    }
}

#[test]
fn the_host_and_the_date_must_be_under_the_signature() {
    let no_host = suite("GET", "/", PLAIN, "x-amz-date", "", VANILLA).check().unwrap_err();
    assert!(no_host.message.contains("'Host'"), "{}", no_host.message);
    let no_date = suite("GET", "/", PLAIN, "host", "", VANILLA).check().unwrap_err();
    assert!(no_date.message.contains("x-amz-date"), "{}", no_date.message);
    let absent = suite("GET", "/", PLAIN, "host;x-amz-date;x-other", "", VANILLA).check().unwrap_err();
    assert!(absent.message.contains("x-other"), "{}", absent.message);
}

#[test]
fn a_body_that_is_not_what_an_s3_header_says_is_refused() {
    let headers = [S3_HOST, EMPTY, S3_DATE];
    let example = suite("PUT", "/k", &headers, "host;x-amz-content-sha256;x-amz-date", "body", VANILLA);
    let error = Example { secret: S3_SECRET, scope: S3_SCOPE, ..example }.check().unwrap_err();
    assert_eq!(error.code, "XAmzContentSHA256Mismatch");
}
