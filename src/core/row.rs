//! What an answer is made of: rows of named values, in the core's one spelling. Front-ends print
//! them as JSON lines, flat datagrams or members of a bigger object.

use std::borrow::Cow;

/// One named value after another, in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::box_collection, reason = "a row goes from `with` to `with` in a register")]
pub struct Row {
    fields: Box<Vec<(Cow<'static, str>, Value)>>,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Shown as 0 or 1 where a protocol knows no booleans.
    Bool(bool),
    /// A count, a size or an id; below 2^53 so that every JSON reader keeps it exact.
    Unsigned(u64),
    /// A whole number that may be negative, such as a Unix time.
    Signed(i64),
    /// Seconds and ratios.
    Float(f64),
    /// Text from the network may be in here: writers escape it.
    Text(Cow<'static, str>),
    /// A hardware address.
    Mac([u8; 6]),
    /// Several values.
    List(Vec<Self>),
    /// A row within a row; protocols with flat rows leave it out.
    Row(Row),
}

impl Row {
    /// An empty row.
    #[must_use]
    pub fn new() -> Self {
        Self { fields: Box::new(Vec::with_capacity(16)) }
    }

    /// The row with one more value at its end. Called in hundreds of places, it is worth a call.
    #[inline(never)]
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a value at the end.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.fields.push((name.into(), value.into()));
    }

    /// Gives a value that is there already another one, in its place; else adds it at the end.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name.into(), value)),
        }
    }

    /// The values, to be changed, with their names.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.fields.iter_mut().map(|(name, value)| (&**name, value))
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Names and values, taken apart.
    pub fn into_fields(self) -> impl Iterator<Item = (Cow<'static, str>, Value)> {
        self.fields.into_iter()
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find_map(|(n, value)| (n == name).then_some(value))
    }
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident as $as:ty),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(<$as>::from(value))
            }
        })+
    };
}

from! {
    bool => Bool as bool,
    u8 => Unsigned as u64,
    u16 => Unsigned as u64,
    u32 => Unsigned as u64,
    u64 => Unsigned as u64,
    i32 => Signed as i64,
    i64 => Signed as i64,
    f64 => Float as f64,
    &'static str => Text as Cow<'static, str>,
    String => Text as Cow<'static, str>,
    Cow<'static, str> => Text as Cow<'static, str>,
    Row => Row as Row,
}

impl From<[u8; 6]> for Value {
    fn from(mac: [u8; 6]) -> Self {
        Self::Mac(mac)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl FromIterator<(Cow<'static, str>, Value)> for Row {
    fn from_iter<I: IntoIterator<Item = (Cow<'static, str>, Value)>>(fields: I) -> Self {
        Self { fields: Box::new(fields.into_iter().collect()) }
    }
}
