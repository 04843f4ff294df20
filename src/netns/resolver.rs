//! How somebody finds names: hosts(5), resolv.conf(5), hostname(5). The files are those of a
//! container and may say anything.

use super::name_of;

/// Lines of a file that are looked at, and entries that are kept.
const MAX_LINES: usize = 256;

/// What is known of how a process finds names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resolver {
    /// The name of the machine, as the system has it.
    pub hostname: Box<str>,
    /// The same, as the file has it.
    pub etc_hostname: Box<str>,
    /// The domain that its name is in.
    pub domain: Box<str>,
    /// Servers that are asked.
    pub nameservers: Vec<Box<str>>,
    /// Domains that are searched.
    pub search: Vec<Box<str>>,
    /// Names and addresses of the hosts file.
    pub hosts: Vec<(Box<str>, Box<str>)>,
}

impl Resolver {
    /// Takes in the contents of a hosts file.
    pub fn read_hosts(&mut self, file: &[u8]) {
        for mut words in lines(file) {
            let Some(address) = words.next() else { continue };
            for name in words {
                if self.hosts.len() < MAX_LINES {
                    self.hosts.push((name_of(name), name_of(address)));
                }
            }
        }
    }

    /// Takes in the contents of a resolver configuration.
    pub fn read_configuration(&mut self, file: &[u8]) {
        for mut words in lines(file) {
            match words.next() {
                Some(b"nameserver") => {
                    self.nameservers.extend(words.next().map(name_of));
                }
                Some(b"domain") => {
                    self.domain = words.next().map(name_of).unwrap_or_default();
                }
                // The last one counts.
                Some(b"search") => {
                    self.search = words.take(MAX_LINES).map(name_of).collect();
                }
                _ => {}
            }
        }
    }

    /// Takes in the contents of a hostname file.
    pub fn read_hostname(&mut self, file: &[u8]) {
        let first = lines(file).find_map(|mut words| words.next());
        self.etc_hostname = first.map(name_of).unwrap_or_default();
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
    file.split(|b| *b == b'\n').take(MAX_LINES).map(|line| {
        let end = line.iter().position(|b| matches!(b, b'#' | b';')).unwrap_or(line.len());
        let line = line.get(..end).unwrap_or_default();
        line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_their_manuals_say() {
        let mut found = Resolver::default();
        found.read_hosts(b"127.0.0.1\tlocalhost lo # near\n\n#10.0.0.9 x\n::1 ip6\n10.0.0.1\n");
        found.read_configuration(
            b"# made up\nnameserver 9.9.9.9\nsearch lan\nsearch a.example b.example\ndomain lan\n\
              options ndots:5\nnameserver fe80::1%eth0 ; far\n",
        );
        found.read_hostname(b"\n# x\nrouter-7 \n");
        let hosts: Vec<(&str, &str)> = found.hosts.iter().map(|(n, a)| (&**n, &**a)).collect();
        assert_eq!(hosts, [("localhost", "127.0.0.1"), ("lo", "127.0.0.1"), ("ip6", "::1")]);
        let texts = |list: &[Box<str>]| list.iter().map(|t| t.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(&found.nameservers), ["9.9.9.9", "fe80::1%eth0"]);
        assert_eq!(texts(&found.search), ["a.example", "b.example"]);
        assert_eq!((&*found.domain, &*found.etc_hostname), ("lan", "router-7"));
    }

    #[test]
    fn huge_files_and_noise_stay_bounded() {
        let mut found = Resolver::default();
        found.read_hosts(&b"1.2.3.4 a b c d\n".repeat(100_000));
        found.read_hosts(&[0xff; 1 << 20]);
        found.read_configuration(&b"nameserver x\n".repeat(100_000));
        found.read_configuration(&[b"search ".to_vec(), b"x ".repeat(1 << 20)].concat());
        assert_eq!((found.hosts.len(), found.nameservers.len()), (MAX_LINES, MAX_LINES));
        assert_eq!(found.search.len(), MAX_LINES);
    }
}
