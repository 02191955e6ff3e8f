//! An issuer of JSON Web Tokens for one test.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The claim `iss` of the issuer's tokens.
pub const ISSUER: &str = "https://issuer.example";
/// The claim `aud` of the issuer's tokens.
pub const AUDIENCE: &str = "shop";

/// A key that signs tokens.
pub struct SigningKey {
    /// The id, as `kid` in tokens and in the key set.
    pub id: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    key: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    /// A new key for ES256.
    pub fn es256(id: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
        // 0x04 and the coordinates of the point.
        let (x, y) = pair.public_key_raw()[1..].split_at(32);
        let public = json!({ "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y) });
        Self::new(id, Algorithm::ES256, key, public)
    }

    /// A new key for `EdDSA`.
    pub fn eddsa(id: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).expect("a key");
        let x = base64(pair.public_key_raw());
        Self::new(id, Algorithm::EdDSA, key, json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
    }

    fn new(id: &str, algorithm: Algorithm, key: EncodingKey, mut public: Value) -> Self {
        public["kid"] = id.into();
        let public = serde_json::from_value(public).expect("a public key");
        Self { id: id.to_owned(), algorithm, key, public }
    }

    /// The header of its tokens.
    pub fn header(&self) -> Header {
        Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) }
    }

    /// Signs a token.
    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).expect("a token")
    }

    /// The public key.
    pub fn public(&self) -> Jwk {
        self.public.clone()
    }
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The JSON of a key set.
pub fn key_set(keys: &[&SigningKey]) -> String {
    let keys = keys.iter().map(|key| key.public()).collect();
    serde_json::to_string(&JwkSet { keys }).expect("JSON")
}

/// The claims of a token for `subject` that is valid for an hour.
pub fn claims(subject: &str, scope: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "scope": scope, "exp": now + 3600 })
}

/// An issuer whose public key is in a file.
pub struct Issuer {
    key: SigningKey,
    folder: TempDir,
}

impl Issuer {
    /// An issuer with a new key.
    pub fn new() -> Self {
        let key = SigningKey::es256("one");
        let folder = tempfile::tempdir().expect("a folder for keys");
        std::fs::write(folder.path().join("keys.json"), key_set(&[&key])).expect("a file");
        Self { key, folder }
    }

    /// The file with the key set.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    /// The settings of a service that accepts only tokens of this issuer.
    pub fn settings(&self) -> Vec<(String, String)> {
        let file = self.file().display().to_string();
        let settings =
            [("JWT_JWKS_FILE", file.as_str()), ("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE)];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// A valid token.
    pub fn token(&self, subject: &str, scope: &str) -> String {
        self.key.sign(&self.key.header(), &claims(subject, scope))
    }

    /// A token in a file, as a service gets its own.
    pub fn token_file(&self, subject: &str, scope: &str) -> PathBuf {
        let file = self.folder.path().join("token");
        std::fs::write(&file, self.token(subject, scope)).expect("a file");
        file
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}
