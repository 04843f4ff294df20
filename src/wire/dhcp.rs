//! DHCP messages of IPv4 (RFC 2131, options RFC 2132), borrowed from the bytes of a packet.

use std::net::Ipv4Addr;

/// Length of the fixed part, magic cookie included.
pub const HEADER_LEN: usize = 240;

const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Why bytes are no DHCP message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The magic cookie is missing: plain BOOTP, or something else.
    NotDhcp,
    /// Fewer bytes than the fixed part has.
    Truncated,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: &'a [u8; HEADER_LEN],
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message of these bytes.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, options) = bytes.split_first_chunk().ok_or(Error::Truncated)?;
        let message = Self { header, options };
        if message.array::<236, 4>() != COOKIE {
            return Err(Error::NotDhcp);
        }
        Ok(message)
    }

    /// 1 from a client, 2 from a server.
    #[must_use]
    pub fn operation(&self) -> u8 {
        let [op] = self.array::<0, 1>();
        op
    }

    /// Length of the hardware address.
    #[must_use]
    pub fn hardware_len(&self) -> u8 {
        let [len] = self.array::<2, 1>();
        len
    }

    /// Relays on the way.
    #[must_use]
    pub fn hops(&self) -> u8 {
        let [hops] = self.array::<3, 1>();
        hops
    }

    /// What a reply has in common with its request.
    #[must_use]
    pub fn transaction(&self) -> u32 {
        u32::from_be_bytes(self.array::<4, 4>())
    }

    /// Seconds since the client began.
    #[must_use]
    pub fn seconds(&self) -> u16 {
        u16::from_be_bytes(self.array::<8, 2>())
    }

    /// The top bit asks for replies by broadcast.
    #[must_use]
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes(self.array::<10, 2>())
    }

    /// The address that the client has (`ciaddr`).
    #[must_use]
    pub fn client(&self) -> Ipv4Addr {
        self.array::<12, 4>().into()
    }

    /// The address that the client gets (`yiaddr`).
    #[must_use]
    pub fn assigned(&self) -> Ipv4Addr {
        self.array::<16, 4>().into()
    }

    /// The server to go on with (`siaddr`).
    #[must_use]
    pub fn server(&self) -> Ipv4Addr {
        self.array::<20, 4>().into()
    }

    /// The first relay (`giaddr`).
    #[must_use]
    pub fn relay(&self) -> Ipv4Addr {
        self.array::<24, 4>().into()
    }

    /// The client's Ethernet address, if the hardware is of that kind.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        (self.array::<1, 2>() == [1, 6]).then(|| self.array::<28, 6>())
    }

    /// The field of the server's name, with its padding.
    #[must_use]
    pub fn server_name(&self) -> [u8; 64] {
        self.array::<44, 64>()
    }

    /// The field of the boot file, with its padding.
    #[must_use]
    pub fn file(&self) -> [u8; 128] {
        self.array::<108, 128>()
    }

    /// Walks the options; stops at their end or at the first that can't be read.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options { rest: self.options }
    }

    /// The first option of a code.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options().find(|(found, _)| *found == code).map(|(_, data)| data)
    }

    fn array<const AT: usize, const N: usize>(&self) -> [u8; N] {
        // The places are constants within the header.
        let field = self.header.get(AT..).and_then(|rest| rest.first_chunk());
        field.copied().unwrap_or([0; N])
    }
}

/// Walks options: code and data.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        // Padding has no length.
        while let [0, behind @ ..] = rest {
            rest = behind;
        }
        let [code, len, behind @ ..] = rest else { return None };
        if *code == 255 {
            return None;
        }
        let (data, behind) = behind.split_at_checked(usize::from(*len))?;
        self.rest = behind;
        Some((*code, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discover(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..12].copy_from_slice(&[1, 1, 6, 2, 1, 2, 3, 4, 0, 5, 0x80, 0]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        bytes[44..47].copy_from_slice(b"srv");
        bytes[108..112].copy_from_slice(b"boot");
        bytes.extend([99, 130, 83, 99]);
        bytes.extend_from_slice(options);
        bytes
    }

    #[test]
    fn fields_and_options_are_where_the_standard_puts_them() {
        let bytes = discover(b"\x35\x01\x01\x00\x00\x0c\x03lap\xff\x0c\x01x");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.operation(), message.hardware_len(), message.hops()), (1, 6, 2));
        assert_eq!((message.transaction(), message.seconds()), (0x0102_0304, 5));
        assert_eq!(message.flags(), 0x8000);
        assert_eq!(message.mac(), Some([2, 0, 0, 0, 0, 1]));
        assert!(message.server_name().starts_with(b"srv\0"));
        assert!(message.file().starts_with(b"boot\0"));
        let options: Vec<_> = message.options().collect();
        assert_eq!(options, [(53, &[1][..]), (12, b"lap")]);
        assert_eq!(message.option(12), Some(&b"lap"[..]));
    }

    #[test]
    fn a_truncated_option_keeps_earlier_options() {
        let bytes = discover(b"\x35\x01\x01\x0c\x09lap");
        assert_eq!(Message::parse(&bytes).unwrap().options().count(), 1);
    }

    #[test]
    fn what_is_no_dhcp_is_refused() {
        let mut bytes = discover(b"");
        assert_eq!(Message::parse(&bytes[..239]).unwrap_err(), Error::Truncated);
        bytes[239] = 0;
        assert_eq!(Message::parse(&bytes).unwrap_err(), Error::NotDhcp);
    }
}
