//! Identifiers in the shapes AWS gives them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Random access key id, secret and session token of a new session.
pub(crate) struct FreshKey {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
}

impl FreshKey {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret, mut token) = ([0_u8; 16], [0_u8; 30], [0_u8; 270]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        getrandom::fill(&mut token)?;
        Ok(Self {
            access_key_id: format!("ASIA{}", base32(&id)),
            secret: STANDARD.encode(secret),
            token: format!("FwoGZXIvYXdzE{}", STANDARD.encode(token)),
        })
    }
}

/// `AIDA...` or `AROA...`, 21 characters, the same for the same name on every start.
pub(crate) fn stable_id(prefix: &str, name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    format!("{prefix}{}", base32(digest.get(..17).unwrap_or_default()))
}

/// A random request id in UUID form; zeros if there is no randomness, as nothing depends on it.
pub(crate) fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    let _ = getrandom::fill(&mut bytes);
    let hex = hex::encode(bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// One character for each byte's low five bits.
fn base32(bytes: &[u8]) -> String {
    bytes.iter().filter_map(|byte| BASE32.get(usize::from(byte & 31))).map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_awss() {
        let key = FreshKey::generate().unwrap();
        assert_eq!((key.access_key_id.len(), key.secret.len()), (20, 40));
        assert_ne!(key.secret, FreshKey::generate().unwrap().secret);
        let id = stable_id("AROA", "arn:aws:iam::111122223333:role/r");
        assert_eq!((id.len(), &id), (21, &stable_id("AROA", "arn:aws:iam::111122223333:role/r")));
        assert_eq!(request_id().len(), 36);
    }
}
