//! Who asks over HTTP: credentials become identities. Logins are remembered as sessions, and
//! guessing is slowed down for the address that guesses, never for another one.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::config::access::Role;
use crate::time::Tick;

use super::agent::Agent;
use super::auth::{Caller, Right};

/// Sessions at once; the one that was used least recently gives way.
pub const MAX_SESSIONS: usize = 256;

/// Addresses with failed attempts that are remembered; the oldest gives way.
pub const MAX_GUESSERS: usize = 256;

/// How long a session lives without being used, in microseconds.
const IDLE: u64 = 24 * 3_600_000_000;

/// Wrong attempts that an address has free; one more comes back each second.
const FREE: u32 = 5;

/// Who asks, in the words of the HTTP interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The user, or what stands for one.
    pub name: Rc<str>,
    /// What the user may do.
    pub role: Role,
}

impl Identity {
    /// As the command layer knows it.
    #[must_use]
    pub const fn caller(&self) -> Caller {
        let right = match self.role {
            Role::Guest | Role::Read => Right::Read,
            Role::Capture => Right::Capture,
            Role::Admin => Right::Admin,
        };
        Caller { right }
    }
}

/// What a client shows to say who it is.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// A user and a password.
    Password(&'a str, &'a str),
    /// A token of the configuration or of a session.
    Token(&'a str),
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// Nothing was shown.
    Nothing,
    /// Too many wrong attempts from this address: ask again in a second.
    TooSoon,
    /// It is wrong.
    Wrong,
}

/// Sessions, and addresses that guess.
#[derive(Debug, Default)]
pub struct Access {
    /// By the digest of the token, or of user and password: what is looked up cannot be felt for.
    sessions: HashMap<[u8; 32], Session>,
    guessers: VecDeque<Guesser>,
}

#[derive(Debug)]
struct Session {
    identity: Identity,
    used: Tick,
    /// It names a password that was right: the limit on guessing holds.
    of_password: bool,
}

#[derive(Debug)]
struct Guesser {
    address: IpAddr,
    /// Attempts left before it must wait.
    free: u32,
    since: Tick,
}

impl Agent {
    /// Who shows this credential. With neither users nor tokens configured everybody is the
    /// administrator: then nothing listens beyond loopback.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn authenticate(
        &mut self,
        given: Option<Credential<'_>>,
        from: IpAddr,
    ) -> Result<Identity, Denied> {
        if !self.settings().has_http_login() {
            return Ok(Identity { name: "admin".into(), role: Role::Admin });
        }
        let given = given.ok_or(Denied::Nothing)?;
        let now = self.clock.tick;
        let digest = digest(&given);
        // A token of 128 random bits is not guessed: its session is not slowed down.
        if let Some(identity) = self.access.session(&digest, false, now) {
            return Ok(identity);
        }
        if !self.access.may_try(from, now) {
            return Err(Denied::TooSoon);
        }
        if let Some(identity) = self.access.session(&digest, true, now) {
            return Ok(identity);
        }
        let found = match given {
            Credential::Password(user, password) => self.known_user(user, password),
            Credential::Token(token) => self.known_token(token),
        };
        if let Some(identity) = found {
            if matches!(given, Credential::Password(..)) {
                self.access.remember(digest, identity.clone(), true, now);
            }
            return Ok(identity);
        }
        self.access.failed(from, now);
        let failures = &mut self.counters.auth_failures;
        *failures = failures.saturating_add(1);
        log::info!("http: wrong credentials from {from}");
        Err(Denied::Wrong)
    }

    /// Begins a session and returns its token: random, and worth as much as the password.
    pub fn begin_session(&mut self, identity: Identity) -> String {
        let mut random = [0; 16];
        self.host.random(&mut random);
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = digest(&Credential::Token(&token));
        self.access.remember(digest, identity, false, self.clock.tick);
        token
    }

    fn known_user(&self, name: &str, password: &str) -> Option<Identity> {
        let users = &self.settings().http_users;
        let found = users.iter().find(|user| user.name == name);
        let user = found.or_else(|| users.first())?;
        // A name that nobody has takes as long.
        let right = user.hash.matches(password.as_bytes()) && found.is_some();
        right.then(|| Identity { name: user.name.as_str().into(), role: user.role })
    }

    fn known_token(&self, token: &str) -> Option<Identity> {
        // All are looked at, whichever it is.
        let known = self.settings().http_tokens.iter().filter(|known| known.matches(token));
        let role = known.map(|known| known.role).max()?;
        Some(Identity { name: "token".into(), role })
    }
}

impl Access {
    /// Forgets everybody: users or tokens have changed.
    pub fn forget(&mut self) {
        self.sessions.clear();
    }

    fn session(&mut self, digest: &[u8; 32], of_password: bool, now: Tick) -> Option<Identity> {
        let session = self.sessions.get_mut(digest).filter(|s| s.of_password == of_password)?;
        if now.since(session.used) > IDLE {
            self.sessions.remove(digest);
            return None;
        }
        session.used = now;
        Some(session.identity.clone())
    }

    fn remember(&mut self, digest: [u8; 32], identity: Identity, of_password: bool, now: Tick) {
        while self.sessions.len() >= MAX_SESSIONS {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
            let Some(oldest) = oldest.map(|(digest, _)| *digest) else { break };
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(digest, Session { identity, used: now, of_password });
    }

    /// Whether an attempt from there is looked at now.
    fn may_try(&mut self, from: IpAddr, now: Tick) -> bool {
        let from = network(from);
        let Some(guesser) = self.guessers.iter_mut().find(|g| g.address == from) else {
            return true;
        };
        let seconds = now.since(guesser.since) / 1_000_000;
        let back = u32::try_from(seconds).unwrap_or(u32::MAX);
        guesser.free = guesser.free.saturating_add(back).min(FREE);
        guesser.since = guesser.since.plus(seconds.saturating_mul(1_000_000));
        guesser.free > 0
    }

    fn failed(&mut self, from: IpAddr, now: Tick) {
        let from = network(from);
        if let Some(guesser) = self.guessers.iter_mut().find(|g| g.address == from) {
            guesser.free = guesser.free.saturating_sub(1);
            return;
        }
        if self.guessers.len() >= MAX_GUESSERS {
            self.guessers.pop_front();
        }
        let free = FREE.saturating_sub(1);
        self.guessers.push_back(Guesser { address: from, free, since: now });
    }
}

/// What one guesser can have many of: a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn digest(credential: &Credential<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    match credential {
        Credential::Password(user, password) => {
            hash.update([1]);
            hash.update((user.len() as u64).to_be_bytes());
            hash.update(user);
            hash.update(password);
        }
        Credential::Token(token) => {
            hash.update([2]);
            hash.update(token);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Identity {
        Identity { name: "a".into(), role: Role::Read }
    }

    #[test]
    fn a_guesser_waits_and_nobody_else_does() {
        let mut access = Access::default();
        let (bad, good): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..FREE {
            assert!(access.may_try(bad, Tick::from_secs(10)));
            access.failed(bad, Tick::from_secs(10));
        }
        assert!(!access.may_try(bad, Tick::from_millis(10_999)));
        assert!(access.may_try(good, Tick::from_millis(10_999)));
        assert!(access.may_try(bad, Tick::from_secs(11)));
        access.failed(bad, Tick::from_secs(11));
        assert!(!access.may_try(bad, Tick::from_millis(11_500)));
        for _ in 0..100 {
            assert!(!access.may_try(bad, Tick::from_millis(11_600)));
        }
        assert!(access.may_try(bad, Tick::from_secs(12)), "waiting is not made longer by asking");
    }

    #[test]
    fn one_prefix_is_one_guesser() {
        let mut access = Access::default();
        for n in 0..FREE {
            let address = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n)));
            access.failed(address, Tick(0));
        }
        assert_eq!(access.guessers.len(), 1);
        assert!(!access.may_try("2001:db8::ffff".parse().unwrap(), Tick(0)));
        for n in 0..2 * MAX_GUESSERS {
            access.failed(IpAddr::V4(u32::try_from(n).unwrap().into()), Tick(0));
        }
        assert_eq!(access.guessers.len(), MAX_GUESSERS);
    }

    #[test]
    fn sessions_are_bounded_and_end() {
        let mut access = Access::default();
        for n in 0..=MAX_SESSIONS {
            let token = digest(&Credential::Token(&n.to_string()));
            access.remember(token, who(), false, Tick(n as u64));
        }
        let session = |access: &mut Access, token: &str, now| {
            access.session(&digest(&Credential::Token(token)), false, now)
        };
        assert_eq!(access.sessions.len(), MAX_SESSIONS);
        assert_eq!(session(&mut access, "0", Tick(300)), None);
        assert_eq!(session(&mut access, "1", Tick(300)), Some(who()));
        assert_eq!(session(&mut access, "1", Tick(301 + IDLE)), None);
    }
}
