//! Text that is kept for long: short ones in place, so that a name or an address costs no memory
//! of its own, longer ones shared.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// Octets that fit in place: a MAC address or an IPv4 prefix does, a UUID does not.
const ROOM: usize = 22;

/// Two counters stand before what is shared.
const COUNTERS: usize = 2 * size_of::<usize>();

/// A text that does not change.
#[derive(Clone, Eq, PartialEq)]
pub struct Text(Form);

/// What fits in place is there, always: equal texts have equal forms.
#[derive(Clone, Eq, PartialEq)]
enum Form {
    Long(Rc<str>),
    /// Its octets, with zeroes behind them.
    Short(u8, [u8; ROOM]),
}

impl Text {
    /// For those that need it shared, whatever its length.
    #[must_use]
    pub fn into_rc(self) -> Rc<str> {
        match self.0 {
            Form::Long(text) => text,
            Form::Short(..) => (*self).into(),
        }
    }

    /// Bytes of memory beside those of the value itself.
    #[must_use]
    pub fn weight(&self) -> usize {
        match &self.0 {
            Form::Long(text) => text.len().saturating_add(COUNTERS),
            Form::Short(..) => 0,
        }
    }

    /// Whether both take no more memory than one of them.
    #[must_use]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Long(one), Form::Long(other)) => Rc::ptr_eq(one, other),
            (one, other) => one == other,
        }
    }

    fn short(text: &str) -> Option<Self> {
        let mut room = [0; ROOM];
        room.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(Form::Short(u8::try_from(text.len()).ok()?, room)))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Form::Long(text) => text,
            Form::Short(len, room) => {
                let octets = room.get(..usize::from(*len)).unwrap_or_default();
                // They come from a text.
                std::str::from_utf8(octets).unwrap_or_default()
            }
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Form::Short(0, [0; ROOM]))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Form::Long(text.into())))
    }
}

impl From<Rc<str>> for Text {
    fn from(text: Rc<str>) -> Self {
        Self::short(&text).unwrap_or(Self(Form::Long(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_was_made_of_whatever_its_length() {
        for len in 0..60 {
            let text = "é".repeat(len);
            let made = Text::from(text.as_str());
            assert_eq!(*made, *text);
            assert_eq!(made, Text::from(Rc::<str>::from(text.as_str())));
            assert_eq!(made.weight() == 0, text.len() <= ROOM);
        }
        assert_eq!(*Text::default(), *"");
        assert_ne!(Text::from("a"), Text::from("a\0"));
    }

    #[test]
    fn a_copy_shares_what_is_long() {
        let long = Text::from("4f9d8a2e-0f3b-5d6c-9a7e-1b2c3d4e5f60");
        assert!(long.is_shared_with(&long.clone()));
        assert!(!long.is_shared_with(&Text::from(&*long)));
        assert!(Text::from("eth0").is_shared_with(&Text::from("eth0")));
        assert_eq!(size_of::<Text>(), 24);
    }
}
