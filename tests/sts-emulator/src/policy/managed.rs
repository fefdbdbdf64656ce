//! The AWS managed policies the emulator knows. Modelled, not copied: enough to see narrowing work.

use std::sync::{Arc, LazyLock};

use super::document::Document;

/// Name and document, one row each.
const MANAGED: [(&str, &str); 2] = [
    (
        "arn:aws:iam::aws:policy/AdministratorAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["iam:List*","iam:Get*","s3:Get*",
        "s3:List*","sqs:Get*","sqs:List*","sqs:ReceiveMessage","lambda:Get*","lambda:List*","sts:Get*"]}]}"#,
    ),
];

static PARSED: LazyLock<Vec<(&str, Arc<Document>)>> = LazyLock::new(|| {
    MANAGED.iter().filter_map(|(arn, text)| Some((*arn, Arc::new(Document::parse(text).ok()?)))).collect()
});

/// The managed policy with this ARN, if the emulator knows it.
pub(crate) fn managed_policy(arn: &str) -> Option<Arc<Document>> {
    PARSED.iter().find(|(known, _)| *known == arn).map(|(_, document)| Arc::clone(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_managed_policy_is_well_formed() {
        for (arn, _) in MANAGED {
            assert!(managed_policy(arn).is_some(), "{arn}");
        }
        assert!(managed_policy("arn:aws:iam::aws:policy/PowerUserAccess").is_none());
    }
}
