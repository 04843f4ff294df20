//! One request to the agent's Unix socket and its answer, within the time and the octets that a
//! call may take.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::wire::json;

/// How long a whole call may take; rpcd gives up after thirty seconds, and a page sooner.
const PATIENCE: Duration = Duration::from_secs(8);

/// The longest answer that is read. It stands in memory twice, on machines with little of it.
const MAX_ANSWER: usize = 1024 * 1024;

/// Asks one agent during one call.
pub(super) struct Client<'a> {
    socket: &'a str,
    end: Instant,
}

/// Why there are no data.
#[derive(Debug)]
pub(super) enum Error {
    /// The answer is longer than is read: ask for less of it.
    TooLong,
    /// For the caller.
    Said(String),
}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        match error {
            Error::TooLong => "the answer is too long: narrow down what is asked for".to_owned(),
            Error::Said(text) => text,
        }
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(socket: &'a str) -> Self {
        let now = Instant::now();
        Self { socket, end: now.checked_add(PATIENCE).unwrap_or(now) }
    }

    /// The data of the answer to a request; an empty object if there are none.
    pub(super) fn ask(&self, request: Map<String, Value>) -> Result<Value, Error> {
        let mut text = json::text(&Value::Object(request));
        text.push('\n');
        let answer = self.exchange(text.as_bytes()).map_err(|error| {
            Error::Said(match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
                    "no agent answers on {}: start it with /etc/init.d/portolan start",
                    self.socket
                ),
                ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                    format!("the agent on {} did not answer in time: try again", self.socket)
                }
                ErrorKind::PermissionDenied => {
                    format!("{}: permission denied: only root and the group of the setting api_group may ask", self.socket)
                }
                _ => format!("{}: {error}", self.socket),
            })
        })?;
        if answer.len() > MAX_ANSWER {
            return Err(Error::TooLong);
        }
        let said = |text: &str| Error::Said(text.to_owned());
        let Ok(Value::Object(mut answer)) = serde_json::from_slice(&answer) else {
            return Err(said("the agent's answer cannot be read: is it of another version?"));
        };
        if answer.get("code").and_then(Value::as_u64) != Some(100) {
            let message = answer.get("message").and_then(Value::as_str);
            let reason = answer.get("data").and_then(|data| data.get("reason")?.as_str());
            let text = message.unwrap_or("the agent refused");
            return Err(Error::Said(match reason {
                Some(reason) => format!("{text} {reason}"),
                None => text.to_owned(),
            }));
        }
        Ok(answer.remove("data").unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// Sends a request and reads to the end of the connection, or one octet more than is taken.
    fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(self.socket)?;
        stream.set_write_timeout(Some(self.left()?))?;
        stream.write_all(request)?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 32 * 1024];
        while answer.len() <= MAX_ANSWER {
            stream.set_read_timeout(Some(self.left()?))?;
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }

    /// The time that is left, never none.
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}
