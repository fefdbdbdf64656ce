//! What bounds of regions, accounts and organizations leave alone.

/// What is left alone, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exempt {
    /// Of an action, or of an ARN after its partition.
    pub pattern: &'static str,
    /// Why.
    pub reason: &'static str,
}

const fn row(pattern: &'static str, reason: &'static str) -> Exempt {
    Exempt { pattern, reason }
}

/// Services whose calls go to one region, whatever region one works in.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_aws_deny-requested-region.html>
pub const GLOBAL_SERVICES: &[Exempt] = &[
    row("account:*", "the account itself"),
    row("aws-marketplace:*", "one marketplace"),
    row("budgets:*", "one place for the bill"),
    row("ce:*", "one place for the bill"),
    row("cloudfront:*", "served everywhere"),
    row("cur:*", "one place for the bill"),
    row("ecr-public:*", "public images are in one region"),
    row("globalaccelerator:*", "one control plane"),
    row("health:*", "one event bus"),
    row("iam:*", "one for all regions"),
    row("networkmanager:*", "one control plane"),
    row("organizations:*", "one for all regions"),
    row("pricing:*", "two regions answer for all"),
    row("route53:*", "one control plane"),
    row("route53domains:*", "one registrar"),
    row("s3:ListAllMyBuckets", "bucket names are one list"),
    row("shield:*", "one control plane"),
    row("sts:*", "what it may assume is bounded by itself"),
    row("support:*", "one desk"),
    row("trustedadvisor:*", "one desk"),
    row("waf:*", "of CloudFront"),
];

/// What belongs to AWS and is there for everybody to use; nothing of a customer's can be put there.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_data-perimeters.html>
pub const AWS_OWNED: &[Exempt] = &[
    row("ec2:*::image/*", "images; their ARN has no account, whoever's they are"),
    row("ec2:*::snapshot/*", "what images are made of"),
    row("iam::aws:policy/*", "managed policies"),
    row("ssm:*::document/*", "documents of AWS"),
    row("ssm:*::parameter/aws/*", "public parameters"),
];
