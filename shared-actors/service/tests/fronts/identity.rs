//! Which tokens are accepted, and which are not.

use std::fs;
use std::time::Duration;

use dev::testing::issuer::{AUDIENCE, ISSUER, SigningKey, claims, key_set};
use dev::testing::{Authority, Issuer, TlsTerminator, eventually};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use service_kit::identity::{AuthError, Caller, IdentitySettings, KeySource, Verifier};
use service_kit::settings::Reader;
use tempfile::TempDir;

/// The example of RFC 7515, appendix A.2: the public key, and a token that has expired.
const RFC_KEY: &str = r#"{"kty":"RSA","kid":"rfc","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
const RFC_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

struct World {
    verifier: Verifier,
    folder: TempDir,
}

impl World {
    fn with(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        fs::write(&file, keys).unwrap();
        Self { verifier: verifier(KeySource::File(file)), folder }
    }

    fn replace(&self, keys: &str) {
        fs::write(self.folder.path().join("keys.json"), keys).unwrap();
    }

    async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        self.verify_headers(&[&format!("Bearer {token}")]).await
    }

    async fn verify_headers(&self, headers: &[&str]) -> Result<Caller, AuthError> {
        self.verifier.verify_one(&mut headers.iter().map(|header| header.as_bytes())).await
    }
}

fn verifier(keys: KeySource) -> Verifier {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (issuer, audience) = (ISSUER.to_owned(), AUDIENCE.to_owned());
    let clock_skew = Duration::from_secs(30);
    Verifier::new(&IdentitySettings { keys, issuer, audience, clock_skew }).unwrap()
}

/// `claims` with one of them replaced, or removed if `value` is null.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims("7", "");
    let map = claims.as_object_mut().unwrap();
    if value.is_null() {
        map.remove(name);
    } else {
        map.insert(name.to_owned(), value);
    }
    claims
}

fn now() -> u64 {
    claims("7", "")["exp"].as_u64().unwrap() - 3600
}

#[actix_rt::test]
async fn a_token_names_the_user_and_the_scopes() {
    let (ec, ed) = (SigningKey::es256("ec"), SigningKey::eddsa("ed"));
    let world = World::with(&key_set(&[&ec, &ed]));
    for key in [&ec, &ed] {
        let token = key.sign(&key.header(), &claims("7", "shop.operator other"));
        let caller = world.verify(&token).await.unwrap();
        assert_eq!(caller.is_user_or_has(7, "none"), Ok(()));
        assert_eq!(caller.is_user_or_has(8, "none"), Err(AuthError::Forbidden));
        assert_eq!(caller.is_user_or_has(8, "other"), Ok(()));
        assert_eq!(caller.has("shop.operator"), Ok(()));
        assert_eq!(caller.has("shop"), Err(AuthError::Forbidden));
        assert_eq!(caller.token().unwrap().expose(), token);
        assert!(!format!("{caller:?}").contains(&token));
    }
    // A subject is compared as text, so that each user has one.
    for subject in ["07", "+7", " 7", "7.0", "7e0", "٧", ""] {
        let caller = world.verify(&ec.sign(&ec.header(), &claims(subject, ""))).await.unwrap();
        assert_eq!(caller.is_user_or_has(7, "none"), Err(AuthError::Forbidden), "{subject:?}");
    }
    let several = but("aud", json!(["another", AUDIENCE]));
    world.verify(&ec.sign(&ec.header(), &several)).await.unwrap();
    let late = but("exp", json!(now() - 10));
    world.verify(&ec.sign(&ec.header(), &late)).await.unwrap();
    let lower_case = format!("bearer {}", ec.sign(&ec.header(), &claims("7", "")));
    world.verify_headers(&[&lower_case]).await.unwrap();
    assert_eq!(Caller::anyone().is_user_or_has(8, "none"), Ok(()));
}

#[actix_rt::test]
async fn a_token_signed_by_rsa_is_checked() {
    let world = World::with(&format!(r#"{{"keys":[{RFC_KEY}]}}"#));
    let refusal = |outcome: Result<Caller, AuthError>| match outcome {
        Err(AuthError::InvalidToken(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_ne!(refusal(world.verify(RFC_TOKEN).await), "wrong signature");
    let (signed, signature) = RFC_TOKEN.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.replacen('c', "d", 1));
    assert_eq!(refusal(world.verify(&forged).await), "wrong signature");
}

#[actix_rt::test]
async fn every_other_token_is_refused() {
    let (key, second, stranger) =
        (SigningKey::es256("one"), SigningKey::es256("two"), SigningKey::es256("one"));
    let world = World::with(&key_set(&[&key, &second]));
    let good = claims("7", "");
    let of = |claims: &Value| key.sign(&key.header(), claims);
    let valid = of(&good);
    world.verify(&valid).await.unwrap();
    let (signed, signature) = valid.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let other = of(&claims("8", "shop.operator"));
    let other_payload = other.split('.').nth(1).unwrap();
    // The header {"alg":"none"} in base64.
    let none = "eyJhbGciOiJub25lIn0";
    let public = serde_json::to_string(&key.public()).unwrap();
    let symmetric = |secret: &[u8]| {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &good, &EncodingKey::from_secret(secret).unwrap()).unwrap()
    };
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = stranger.header();
        change(&mut header);
        stranger.sign(&header, &good)
    };
    let cases = [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("two dots", "a.b.c".to_owned()),
        ("another payload", format!("{header}.{other_payload}.{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("half a signature", format!("{signed}.{}", &signature[..signature.len() / 2])),
        (
            "a signature of something else",
            format!("{signed}.{}", other.rsplit_once('.').unwrap().1),
        ),
        ("no algorithm", format!("{none}.{payload}.")),
        ("no algorithm but a signature", format!("{none}.{payload}.{signature}")),
        ("a public key as a shared secret", symmetric(public.as_bytes())),
        ("a shared secret", symmetric(b"secret")),
        ("a stranger's key under a known id", with(&|_| ())),
        ("an unknown key", with(&|header| header.kid = Some("three".to_owned()))),
        ("no key id although there are several keys", {
            key.sign(&Header { kid: None, ..key.header() }, &good)
        }),
        ("a key in the header", with(&|header| header.jwk = Some(stranger.public()))),
        (
            "a URL of keys in the header",
            with(&|header| header.jku = Some("http://127.0.0.1/".to_owned())),
        ),
        ("the id of another key", {
            let header = Header { kid: Some("two".to_owned()), ..key.header() };
            key.sign(&header, &good)
        }),
        ("expired", of(&but("exp", json!(now() - 60)))),
        ("no expiry", of(&but("exp", Value::Null))),
        ("an expiry that is no number", of(&but("exp", json!("tomorrow")))),
        ("not valid yet", of(&but("nbf", json!(now() + 60)))),
        ("another issuer", of(&but("iss", json!("https://issuer.example.evil")))),
        ("no issuer", of(&but("iss", Value::Null))),
        ("another audience", of(&but("aud", json!("shop2")))),
        ("other audiences", of(&but("aud", json!(["a", "b"])))),
        ("no audience", of(&but("aud", Value::Null))),
        ("no subject", of(&but("sub", Value::Null))),
        ("a subject that is a number", of(&but("sub", json!(7)))),
        ("a scope that is a list", of(&but("scope", json!(["shop.operator"])))),
        ("an expiry before 1970", of(&but("exp", json!(-1)))),
        ("an extension that must be understood", {
            let mut header = key.header();
            header.crit = Some(vec!["exp".to_owned()]);
            key.sign(&header, &good)
        }),
        ("a path as a key id", {
            let header = Header { kid: Some("../../dev/null".to_owned()), ..key.header() };
            key.sign(&header, &good)
        }),
        ("too long", of(&but("scope", json!("x".repeat(9000))))),
    ];
    for (what, token) in cases {
        let outcome = world.verify(&token).await;
        assert!(
            matches!(outcome, Err(AuthError::InvalidToken(_) | AuthError::NoToken)),
            "{what}: {outcome:?}"
        );
    }
    let bearer = format!("Bearer {valid}");
    let basic = format!("Basic {valid}");
    let cases: [(&str, &[&str]); 5] = [
        ("no header", &[]),
        ("two headers", &[&bearer, &bearer]),
        ("another scheme", &[&basic]),
        ("no scheme", &[&valid]),
        ("only a scheme", &["Bearer"]),
    ];
    for (what, headers) in cases {
        let outcome = world.verify_headers(headers).await;
        assert!(
            matches!(outcome, Err(AuthError::InvalidToken(_) | AuthError::NoToken)),
            "{what}: {outcome:?}"
        );
    }
}

#[actix_rt::test]
async fn a_new_key_is_found_and_an_old_one_is_forgotten_without_a_restart() {
    tokio::time::pause();
    let (old, new) = (SigningKey::es256("old"), SigningKey::es256("new"));
    let by = |key: &SigningKey| key.sign(&key.header(), &claims("7", ""));
    let world = World::with("not JSON");
    assert_eq!(world.verify(&by(&old)).await, Err(AuthError::NoKeys));
    world.replace(&key_set(&[&old]));
    assert_eq!(world.verify(&by(&old)).await, Err(AuthError::NoKeys), "asked too often");
    tokio::time::advance(Duration::from_secs(5)).await;
    world.verify(&by(&old)).await.unwrap();

    world.replace(&key_set(&[&new]));
    tokio::time::advance(Duration::from_secs(5)).await;
    world.verify(&by(&old)).await.unwrap();
    world.verify(&by(&new)).await.unwrap();
    assert!(world.verify(&by(&old)).await.is_err(), "the old key is no longer in the set");

    // While the source is away, the known keys stay.
    world.replace("");
    tokio::time::advance(Duration::from_mins(6)).await;
    world.verify(&by(&new)).await.unwrap();
    tokio::task::yield_now().await;
    world.verify(&by(&new)).await.unwrap();

    // A key that is withdrawn is refused once the keys are old, even if nobody asks for another one.
    world.replace(&key_set(&[&old]));
    tokio::time::advance(Duration::from_mins(6)).await;
    world.verify(&by(&new)).await.unwrap();
    tokio::task::yield_now().await;
    assert!(world.verify(&by(&new)).await.is_err(), "the keys were read meanwhile");
    world.verify(&by(&old)).await.unwrap();
    // After a long time without calls, they are read first.
    world.replace(r#"{"keys":[]}"#);
    tokio::time::advance(Duration::from_hours(8)).await;
    let withdrawn = world.verify(&by(&old)).await;
    assert!(matches!(withdrawn, Err(AuthError::InvalidToken(_))), "{withdrawn:?}");
}

#[actix_rt::test]
async fn a_token_that_was_accepted_is_refused_once_it_has_expired() {
    let key = SigningKey::es256("one");
    let world = World::with(&key_set(&[&key]));
    // The clocks may differ by 30 s.
    let token = key.sign(&key.header(), &but("exp", json!(now() - 28)));
    world.verify(&token).await.unwrap();
    eventually(Duration::from_secs(20), "the token expires", async || {
        match world.verify(&token).await {
            Err(AuthError::InvalidToken("expired")) => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_request_that_is_given_up_does_not_keep_the_keys_from_being_read() {
    let key = SigningKey::es256("one");
    let (keys, asked) = (key_set(&[&key]), std::sync::Arc::new(tokio::sync::Notify::new()));
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    let (notify, wait) = (std::sync::Arc::clone(&asked), std::sync::Arc::clone(&release));
    let server = actix_web::HttpServer::new(move || {
        let (keys, notify, wait) = (keys.clone(), notify.clone(), wait.clone());
        let serve = move || {
            let (keys, notify, wait) = (keys.clone(), notify.clone(), wait.clone());
            async move {
                notify.notify_one();
                wait.notified().await;
                keys
            }
        };
        actix_web::App::new().route("/keys", actix_web::web::get().to(serve))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/keys", server.addrs()[0]).parse().unwrap();
    actix_rt::spawn(server.run());
    let verifier = verifier(KeySource::Url { url, ca: None });
    let header = format!("Bearer {}", key.sign(&key.header(), &claims("7", "")));
    let verify = async || verifier.verify_one(&mut std::iter::once(header.as_bytes())).await;
    tokio::select! {
        () = asked.notified() => {}
        early = verify() => panic!("the keys have not been sent: {early:?}"),
    }
    release.notify_one();
    eventually(Duration::from_secs(20), "the keys arrive", verify).await;
}

#[actix_rt::test]
async fn keys_come_from_a_url_over_tls() {
    let (authority, key) = (Authority::new(), SigningKey::es256("one"));
    let keys = key_set(&[&key]);
    let server = actix_web::HttpServer::new(move || {
        let keys = keys.clone();
        let serve = move || std::future::ready(keys.clone());
        actix_web::App::new().route("/keys", actix_web::web::get().to(serve))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0].to_string();
    actix_rt::spawn(server.run());
    let encrypted = TlsTerminator::before(&address, "http/1.1", &authority.sign("server"));
    let url = format!("{}/keys", encrypted.url());
    let token = key.sign(&key.header(), &claims("7", ""));
    let header = format!("Bearer {token}");
    let accepts = async |authority: &Authority| {
        let settings = [
            ("JWT_JWKS_URL", url.clone()),
            ("JWT_CA_FILE", authority.file().display().to_string()),
            ("JWT_ISSUER", ISSUER.to_owned()),
            ("JWT_AUDIENCE", AUDIENCE.to_owned()),
        ];
        let mut reader = Reader::from_pairs(settings);
        let settings = IdentitySettings::read(&mut reader, &[]).unwrap();
        reader.finish().unwrap();
        let verifier = Verifier::new(&settings).unwrap();
        verifier.verify_one(&mut std::iter::once(header.as_bytes())).await
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    eventually(Duration::from_secs(20), "the keys arrive", async || accepts(&authority).await)
        .await;
    assert_eq!(accepts(&Authority::new()).await, Err(AuthError::NoKeys), "an untrusted server");
}

#[actix_rt::test]
async fn a_key_set_that_is_too_large_or_elsewhere_is_not_used() {
    let key = SigningKey::es256("one");
    let keys = key_set(&[&key]);
    let large = format!("{keys}{}", " ".repeat(256 * 1024));
    let server = actix_web::HttpServer::new(move || {
        let (keys, large) = (keys.clone(), large.clone());
        let elsewhere = || async {
            let location = (actix_web::http::header::LOCATION, "/keys");
            actix_web::HttpResponse::Found().insert_header(location).finish()
        };
        let failing = actix_web::HttpResponse::InternalServerError;
        actix_web::App::new()
            .route("/keys", actix_web::web::get().to(move || std::future::ready(keys.clone())))
            .route("/large", actix_web::web::get().to(move || std::future::ready(large.clone())))
            .route("/elsewhere", actix_web::web::get().to(elsewhere))
            .route("/failing", actix_web::web::get().to(failing))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    actix_rt::spawn(server.run());
    let header = format!("Bearer {}", key.sign(&key.header(), &claims("7", "")));
    let accepts = async |path: &str| {
        let url = format!("http://{address}{path}").parse().unwrap();
        let verifier = verifier(KeySource::Url { url, ca: None });
        verifier.verify_one(&mut std::iter::once(header.as_bytes())).await
    };
    eventually(Duration::from_secs(20), "the keys arrive", async || accepts("/keys").await).await;
    for path in ["/large", "/elsewhere", "/failing", "/nowhere"] {
        assert_eq!(accepts(path).await, Err(AuthError::NoKeys), "{path}");
    }
}

#[actix_rt::test]
async fn secret_keys_in_a_key_set_verify_nothing() {
    let secret = r#"{"kty":"oct","k":"c2VjcmV0","kid":"one","alg":"HS256"}"#;
    let world = World::with(&format!(r#"{{"keys":[{secret}]}}"#));
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(b"secret").unwrap();
    let token = encode(&header, &claims("7", ""), &key).unwrap();
    let outcome = world.verify(&token).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken(_))), "{outcome:?}");
}

#[test]
fn a_listener_that_others_reach_needs_identity_or_a_permission() {
    let problems = |pairs: &[(&str, &str)], address: &str| {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        IdentitySettings::read(&mut reader, &[("HTTP_PORT", address.parse().unwrap())]);
        let problems = reader.finish().err().map(|error| error.problems).unwrap_or_default();
        problems.into_iter().map(|problem| problem.name).collect::<Vec<_>>()
    };
    for address in ["8080", ":8080", "0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
        assert_eq!(problems(&[], address), ["HTTP_PORT"], "{address}");
        let allowed = problems(&[("ALLOW_UNAUTHENTICATED", "true")], address);
        assert!(allowed.is_empty(), "{address}: {allowed:?}");
    }
    for address in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080"] {
        assert!(problems(&[], address).is_empty(), "{address}");
    }
    let issuer = Issuer::new();
    let file = issuer.file().display().to_string();
    let tokens =
        [("JWT_JWKS_FILE", file.as_str()), ("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE)];
    assert!(problems(&tokens, "8080").is_empty());
    let unknown_users = [("RATE_LIMIT_PER_USER", "10")];
    assert_eq!(problems(&unknown_users, "127.0.0.1:1"), ["RATE_LIMIT_PER_USER"]);
    assert_eq!(problems(&tokens[1..], "127.0.0.1:1"), ["JWT_JWKS_URL"]);
    assert_eq!(problems(&tokens[..1], "8080"), ["JWT_ISSUER", "JWT_AUDIENCE"]);
    let nowhere = [("JWT_JWKS_FILE", "/nowhere.json"), tokens[1], tokens[2]];
    assert_eq!(problems(&nowhere, "8080"), ["JWT_JWKS_FILE"]);
    let both = [("JWT_JWKS_FILE", "a"), ("JWT_JWKS_URL", "https://b")];
    assert_eq!(problems(&both, "127.0.0.1:1"), ["JWT_JWKS_FILE"]);
    assert_eq!(problems(&[("JWT_JWKS_URL", "ftp://b")], "127.0.0.1:1"), ["JWT_JWKS_URL"]);
}
