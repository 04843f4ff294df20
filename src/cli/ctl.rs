//! `portolan ctl`: one request to the management port and its rows on standard output, for
//! machines whose `nc` knows no UDP. Blocking, as a command is; the agent has no part of it.

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use super::args::Ctl;
use super::exit;

/// Silence after which an answer is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the sub-command and returns the exit code.
#[must_use]
pub fn run(ctl: &Ctl) -> i32 {
    match ask(ctl, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            complain!(
                "portolan: no answer from {}:{}: {error}; is the agent running there?",
                ctl.address,
                ctl.port
            );
            exit::UNREACHABLE
        }
    }
}

fn ask(ctl: &Ctl, out: &mut impl Write) -> io::Result<i32> {
    let (kind, method) = match ctl.request.split_first() {
        Some((kind, rest)) if ["r", "w", "s"].contains(&kind.as_str()) && !rest.is_empty() => {
            (kind.as_str(), rest.join(" "))
        }
        // `portolan ctl status` is `portolan ctl r status`.
        Some((first, _)) if first.len() > 1 => ("r", ctl.request.join(" ")),
        _ => {
            complain!(
                "portolan: what to ask? r METHOD, w METHOD or s TOPIC (try portolan ctl r help)"
            );
            return Ok(exit::USAGE);
        }
    };
    let key = match (&ctl.key, &ctl.key_file) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Some(text.lines().next().unwrap_or_default().to_owned()),
            Err(error) => {
                complain!("portolan: key file {path}: {error}");
                return Ok(exit::USAGE);
            }
        },
        (None, None) => None,
    };
    let address: IpAddr = match ctl.address.parse() {
        Ok(address) => address,
        Err(_) => {
            complain!("portolan: {:?} is no IP address", ctl.address);
            return Ok(exit::USAGE);
        }
    };
    let options = key.map_or_else(|| "1".to_owned(), |key| format!("1:1:{key}"));
    let socket = connect(address, ctl.port)?;
    socket.send(format!("{kind} {options} {method}\n").as_bytes())?;
    receive(&socket, kind == "s", ctl.raw, out)
}

fn connect(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect((address, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn receive(
    socket: &UdpSocket,
    subscribes: bool,
    raw: bool,
    out: &mut impl Write,
) -> io::Result<i32> {
    let mut buffer = [0; 2_048];
    let mut code = exit::OK;
    loop {
        let count = socket.recv(&mut buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "timed out"),
            _ => error,
        })?;
        let datagram = buffer.get(..count).unwrap_or_default();
        if raw {
            out.write_all(datagram)?;
        }
        let Ok(Value::Object(mut reply)) = serde_json::from_slice(datagram) else { continue };
        let _ = reply.remove("_tag");
        let kind = reply.remove("_type");
        match kind.as_ref().and_then(Value::as_str).unwrap_or_default() {
            "error" => {
                let error = reply.get("error").and_then(Value::as_str).unwrap_or("unknown");
                let detail = reply.get("detail").and_then(Value::as_str).unwrap_or_default();
                complain!("portolan: {error}{}{detail}", if detail.is_empty() { "" } else { ": " });
                explain(error);
                code = exit::FAILED;
                // Between begin and end an error is not the last word.
                if !matches!(
                    error,
                    "badarg" | "notfound" | "writeonly" | "unimplemented" | "nofile" | "limit"
                ) {
                    return Ok(code);
                }
            }
            "end" => {
                if let Some(next) = reply.get("next") {
                    complain!("portolan: more rows: add after={next}");
                }
                return Ok(code);
            }
            "subscribed" | "subscribe" if subscribes => socket.set_read_timeout(None)?,
            "row" | "event" if !raw => {
                serde_json::to_writer(&mut *out, &Value::Object(reply))?;
                writeln!(out)?;
                out.flush()?;
            }
            "unsubscribed" => {
                complain!("portolan: another client took the subscription");
                return Ok(exit::FAILED);
            }
            _ => {}
        }
    }
}

fn explain(error: &str) {
    let hint = match error {
        "badauth" => "give the key with -k KEY or --key-file FILE",
        "unknowncmd" => "portolan ctl r help lists the methods",
        "unknowntopic" => "portolan ctl r help.events lists the topics",
        "readonly" => "this method can only be read: use r",
        "writeonly" => "this method changes something: use w and the key",
        "toolong" => "a request has at most 80 octets: use the Unix socket for longer ones",
        _ => return,
    };
    complain!("portolan: {hint}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers one request with these datagrams.
    fn serve(replies: &'static [&'static str]) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            let (_, from) = socket.recv_from(&mut buffer).unwrap();
            for reply in replies {
                socket.send_to(reply.as_bytes(), from).unwrap();
            }
        });
        port
    }

    fn ctl(port: u16, request: &[&str]) -> Ctl {
        Ctl {
            port,
            address: "127.0.0.1".into(),
            key: None,
            key_file: None,
            raw: false,
            request: request.iter().map(|w| (*w).to_owned()).collect(),
        }
    }

    #[test]
    fn rows_are_printed_without_tag_and_type() {
        let port = serve(&[
            "{\"_tag\":\"1\",\"_type\":\"begin\",\"cmd\":\"x\"}\n",
            "{\"_tag\":\"1\",\"_type\":\"row\",\"a\":1}\n",
            "{\"_tag\":\"1\",\"_type\":\"end\",\"cmd\":\"x\"}\n",
        ]);
        let mut out = Vec::new();
        assert_eq!(ask(&ctl(port, &["r", "x"]), &mut out).unwrap(), exit::OK);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":1}\n");
    }

    #[test]
    fn an_error_of_the_agent_is_a_failure() {
        let port = serve(&["{\"_tag\":\"1\",\"_type\":\"error\",\"error\":\"badauth\"}\n"]);
        assert_eq!(ask(&ctl(port, &["w", "stop"]), &mut Vec::new()).unwrap(), exit::FAILED);
    }

    #[test]
    fn nobody_there_is_said() {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(run(&ctl(port, &["status"])), exit::UNREACHABLE);
        assert_eq!(run(&ctl(port, &["r"])), exit::USAGE);
    }
}
