//! Who may use the HTTP interface: users with hashed passwords and bearer tokens, as the
//! configuration has them. Sessions and limits on guessing are left to `core`.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Rounds of a new hash: some milliseconds on a small router, within one turn of the loop.
pub const ROUNDS: u32 = 4_096;

/// The most rounds that are accepted: a check must not hold the loop.
const MAX_ROUNDS: u32 = 20_000;

/// Octets of a salt at most.
const MAX_SALT: usize = 32;

/// The longest password or token, in octets.
pub const MAX_SECRET: usize = 256;

/// Users, and tokens, that a configuration may have.
pub const MAX_ENTRIES: usize = 256;

/// What somebody may do; each includes the ones before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// See the topology and the status, nothing else.
    Guest,
    /// Look at everything but payload.
    Read,
    /// See payload: create captures, inject packets.
    Capture,
    /// Change anything.
    Admin,
}

impl Role {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Guest, "guest"),
        (Self::Read, "read"),
        (Self::Capture, "capture"),
        (Self::Admin, "admin"),
    ];

    /// The role of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }
}

/// A salted password hash: SHA-256, fed with its own result, salt and password over many rounds.
/// As text: `sha256$ROUNDS$SALT$DIGEST`, salt and digest in hexadecimal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hash {
    rounds: u32,
    salt: Vec<u8>,
    digest: [u8; 32],
}

impl Hash {
    /// Hashes a password.
    #[must_use]
    pub fn new(password: &[u8], salt: &[u8], rounds: u32) -> Self {
        Self { rounds, salt: salt.to_vec(), digest: digest(password, salt, rounds) }
    }

    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let kind = parts.next()?;
        let rounds = parts.next()?.parse().ok().filter(|n| (1..=MAX_ROUNDS).contains(n))?;
        let salt = unhex(parts.next()?).filter(|salt| (1..=MAX_SALT).contains(&salt.len()))?;
        let digest = unhex(parts.next()?)?.try_into().ok()?;
        (kind == "sha256" && parts.next().is_none()).then_some(Self { rounds, salt, digest })
    }

    /// Whether this is the hash of `password`.
    #[must_use]
    pub fn matches(&self, password: &[u8]) -> bool {
        let given = digest(password, &self.salt, self.rounds);
        bool::from(given.ct_eq(&self.digest))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256${}${}${}", self.rounds, hex(&self.salt), hex(&self.digest))
    }
}

/// A user with a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// As given at the login.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Of the password.
    pub hash: Hash,
}

impl User {
    /// Reads `name:role:hash`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(':')?;
        let (role, hash) = rest.split_once(':')?;
        let fits = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
        let user =
            Self { name: name.to_owned(), role: Role::parse(role)?, hash: Hash::parse(hash)? };
        fits.then_some(user)
    }
}

/// A token that stands for a role.
#[derive(Clone, Eq, PartialEq)]
pub struct Token {
    /// What its bearer may do.
    pub role: Role,
    secret: String,
}

impl Token {
    /// Reads `role:token`; a token has at least 16 octets and neither blanks nor colons.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (role, secret) = text.split_once(':')?;
        let usable = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b';' | b',' | b'"');
        let fits = (16..=MAX_SECRET).contains(&secret.len()) && secret.bytes().all(usable);
        let role = Role::parse(role)?;
        fits.then(|| Self { role, secret: secret.to_owned() })
    }

    /// Whether `given` is this token, in a time that does not tell how much of it is right.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        let (own, given) = (Sha256::digest(&self.secret), Sha256::digest(given));
        bool::from(own.ct_eq(&given))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.role)
    }
}

/// Reads a file of users: `name:role:hash` lines, empty ones and `#` comments.
#[must_use]
pub fn users(text: &str) -> Option<Vec<User>> {
    lines(text).map(User::parse).collect()
}

/// Reads a file of tokens: `role:token` lines, empty ones and `#` comments.
#[must_use]
pub fn tokens(text: &str) -> Option<Vec<Token>> {
    lines(text).map(Token::parse).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn digest(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let password = password.get(..MAX_SECRET).unwrap_or(password);
    let mut digest = [0; 32];
    for _ in 0..rounds {
        let mut hash = Sha256::new();
        hash.update(digest);
        hash.update(salt);
        hash.update(password);
        digest = hash.finalize().into();
    }
    digest
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let [high, low] = *pair else { return None };
        let digit = |c: u8| char::from(c).to_digit(16);
        u8::try_from(digit(high)? << 4 | digit(low)?).ok()
    };
    if text.len() > 128 { None } else { pairs.map(byte).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_and_knows_its_password_alone() {
        let hash = Hash::new(b"pass:w\xc3\xb6rd", b"0123456789abcdef", 100);
        let text = hash.to_string();
        assert!(text.starts_with("sha256$100$30313233343536373839616263646566$"), "{text}");
        assert_eq!(Hash::parse(&text), Some(hash.clone()));
        assert!(hash.matches(b"pass:w\xc3\xb6rd"));
        for wrong in [&b""[..], b"pass", b"pass:w\xc3\xb6rd\0"] {
            assert!(!hash.matches(wrong));
        }
        assert_ne!(Hash::new(b"x", b"a", 1), Hash::new(b"x", b"b", 1));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let good = format!("admin:admin:{}", Hash::new(b"x", b"salt", 5));
        assert_eq!(User::parse(&good).unwrap().role, Role::Admin);
        for wrong in [
            "admin",
            "admin:admin",
            "admin:root:sha256$1$00$00",
            &good.replace("$5$", "$0$"),
            &good.replace("$5$", "$99999999$"),
            &good.replace("sha256", "md5"),
            &format!("{good}00"),
            &good[1..].replacen("dmin", "", 1),
        ] {
            assert_eq!(User::parse(wrong), None, "{wrong}");
        }
        assert!(Token::parse("read:0123456789abcdef").unwrap().matches("0123456789abcdef"));
        assert!(!Token::parse("read:0123456789abcdef").unwrap().matches("0123456789abcdeF"));
        for wrong in
            ["read:short", "0123456789abcdef", "read:0123456789 bcdef", "x:0123456789abcdef"]
        {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(users(&format!("# people\n\n{good}\n")).unwrap().len(), 1);
        assert_eq!(users("nonsense"), None);
    }
}
