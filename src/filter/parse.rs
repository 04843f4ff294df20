//! From text to a tree, by recursive descent over parentheses alone.
//!
//! The grammar is libpcap's: `not` binds tightest, `and` and `or` equally and from the left; an
//! address, port or name that stands alone takes the qualifiers of the primitive before it.

use super::ast::{
    Compare, Control, Direction, Node, Primitive, Proto, Size, Term, Tree, constant, isis, iso,
    refused,
};
use super::bpf::op;
use super::lex::{self, Kind, Symbol, Token};
use super::names::{Names, Service};
use super::{Error, MAX_DEPTH, MAX_TEXT, Problem};

/// Reads an expression.
pub(super) fn parse(text: &str, names: &dyn Names) -> Result<Tree, Error> {
    if text.len() > MAX_TEXT {
        return Err(Error { at: MAX_TEXT, len: 0, problem: Problem::TooLong });
    }
    let tokens = lex::tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, tree: Tree::default(), names };
    if parser.peek().kind == Kind::End {
        return Ok(parser.tree);
    }
    parser.expression(None)?;
    match parser.peek().kind {
        Kind::End => Ok(parser.tree),
        Kind::Symbol(Symbol::Close) => Err(parser.refuse("nothing is open that this could close")),
        _ => Err(parser.expected("and, or, or the end")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
    tree: Tree,
    names: &'a dyn Names,
}

/// What stands before an address, a port or a number.
#[derive(Clone, Copy, Debug)]
struct Qualifiers {
    proto: Option<Proto>,
    direction: Direction,
    kind: What,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    Unsaid,
}

const END: Token<'static> = Token { kind: Kind::End, at: 0, len: 0 };

impl<'a> Parser<'a> {
    /// Terms with `and` and `or` between; the result is the root's place. `context` holds the
    /// qualifiers that apply to a term without any.
    fn expression(&mut self, context: Option<Qualifiers>) -> Result<usize, Error> {
        let (mut root, mut context) = self.term(context)?;
        loop {
            let and = self.accept_and();
            if !and && !self.accept_or() {
                return Ok(root);
            }
            let (right, now) = self.term(context)?;
            context = now;
            root = self.push(if and { Node::And(root, right) } else { Node::Or(root, right) });
        }
    }

    /// A primitive or something in parentheses, with any number of `not` before it; also the
    /// qualifiers for what follows.
    fn term(&mut self, context: Option<Qualifiers>) -> Result<(usize, Option<Qualifiers>), Error> {
        let mut negated = false;
        while self.accept_not() {
            negated = !negated;
        }
        let (node, context) = if self.is_arithmetic() {
            (self.relation()?, None)
        } else if self.at_symbol(Symbol::Open) {
            (self.group(context)?, context)
        } else {
            self.primitive(context)?
        };
        Ok((if negated { self.push(Node::Not(node)) } else { node }, context))
    }

    fn group(&mut self, context: Option<Qualifiers>) -> Result<usize, Error> {
        self.deeper()?;
        let node = self.expression(context)?;
        self.close()?;
        Ok(node)
    }

    /// Steps over an opening parenthesis.
    fn deeper(&mut self) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(Problem::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        self.advance();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_sub(1);
        self.expect(Symbol::Close, ")")
    }

    /// Whether a comparison of numbers begins here, rather than an id or a group of terms.
    fn is_arithmetic(&self) -> bool {
        match self.peek().kind {
            Kind::Symbol(Symbol::Sub) => true,
            Kind::Number(_) => self.peek_at(1).kind.is_operator(),
            Kind::Word(word) if is_length(word) => true,
            Kind::Word(word) if constant(word).is_some() => self.peek_at(1).kind.is_operator(),
            Kind::Word(word) => {
                Proto::parse(word).is_some()
                    && self.peek_at(1).kind == Kind::Symbol(Symbol::OpenBracket)
            }
            Kind::Symbol(Symbol::Open) => {
                // What follows the group decides.
                let mut open = 0_usize;
                for (at, token) in self.tokens.iter().enumerate().skip(self.next) {
                    match token.kind {
                        Kind::Symbol(Symbol::Open) => open = open.saturating_add(1),
                        Kind::Symbol(Symbol::Close) => open = open.saturating_sub(1),
                        _ => continue,
                    }
                    if open == 0 {
                        let after = self.tokens.get(at.saturating_add(1));
                        return after.is_some_and(|token| token.kind.is_operator());
                    }
                }
                false
            }
            _ => false,
        }
    }

    fn relation(&mut self) -> Result<usize, Error> {
        let start = self.next;
        let left = self.arithmetic(0)?;
        let Kind::Symbol(symbol) = self.peek().kind else {
            return Err(self.expected("a comparison such as ="));
        };
        let Some(compare) = comparison(symbol) else {
            return Err(self.expected("a comparison such as ="));
        };
        self.advance();
        let right = self.arithmetic(0)?;
        Ok(self.test(start, Primitive::Relation { compare, left, right }))
    }

    /// Operators that bind at least as tightly as `least`, from the left.
    ///
    /// In libpcap's grammar `%` and `^` have no precedence: they take the operand next to them
    /// on the left and all there is on the right. A filter must not mean something else here.
    fn arithmetic(&mut self, least: u8) -> Result<usize, Error> {
        let mut left = self.operand()?;
        loop {
            let Kind::Symbol(symbol) = self.peek().kind else { return Ok(left) };
            let (operation, binds) = match symbol {
                Symbol::BitOr => (op::OR, 1),
                Symbol::BitAnd => (op::AND, 2),
                Symbol::Left => (op::LSH, 3),
                Symbol::Right => (op::RSH, 3),
                Symbol::Add => (op::ADD, 4),
                Symbol::Sub => (op::SUB, 4),
                Symbol::Mul => (op::MUL, 5),
                Symbol::Div => (op::DIV, 5),
                Symbol::Mod => (op::MOD, u8::MAX),
                Symbol::Xor => (op::XOR, u8::MAX),
                _ => return Ok(left),
            };
            if binds < least {
                return Ok(left);
            }
            let greedy = binds == u8::MAX;
            let inner = if greedy { 0 } else { binds.saturating_add(1) };
            if self.depth == MAX_DEPTH {
                return Err(self.error(Problem::TooDeep));
            }
            self.advance();
            self.depth = self.depth.saturating_add(1);
            let right = self.arithmetic(inner)?;
            self.depth = self.depth.saturating_sub(1);
            left = self.term_of(Term::Operation { operation, left, right });
        }
    }

    fn operand(&mut self) -> Result<usize, Error> {
        let token = self.peek();
        match token.kind {
            Kind::Number(number) => {
                self.advance();
                Ok(self.term_of(Term::Number(number)))
            }
            Kind::Symbol(Symbol::Sub) => {
                self.deeper()?;
                // Tighter than all but the greedy ones.
                let operand = self.arithmetic(6)?;
                self.depth = self.depth.saturating_sub(1);
                Ok(self.term_of(Term::Negate(operand)))
            }
            Kind::Symbol(Symbol::Open) => {
                self.deeper()?;
                let inner = self.arithmetic(0)?;
                self.close()?;
                Ok(inner)
            }
            Kind::Word(word) if is_length(word) => {
                self.advance();
                Ok(self.term_of(Term::Length))
            }
            Kind::Word(word) => {
                if let Some(number) = constant(word) {
                    self.advance();
                    return Ok(self.term_of(Term::Number(number)));
                }
                if let Some(proto) = Proto::parse(word) {
                    self.advance();
                    return self.load(proto);
                }
                Err(self.refuse(if word.contains('-') {
                    "not a number: a minus wants blanks around it"
                } else {
                    "not a number"
                }))
            }
            _ => Err(self.expected("a number, len or proto[offset]")),
        }
    }

    /// `[offset:size]`, after a protocol.
    fn load(&mut self, proto: Proto) -> Result<usize, Error> {
        if !self.at_symbol(Symbol::OpenBracket) {
            return Err(self.expected("["));
        }
        self.deeper()?;
        let offset = self.arithmetic(0)?;
        let size = if self.accept(Symbol::Colon) {
            let size = match self.peek().kind {
                Kind::Number(1) => Size::Byte,
                Kind::Number(2) => Size::Half,
                Kind::Number(4) => Size::Word,
                _ => return Err(self.expected("a size of 1, 2 or 4")),
            };
            self.advance();
            size
        } else {
            Size::Byte
        };
        self.depth = self.depth.saturating_sub(1);
        self.expect(Symbol::CloseBracket, "]")?;
        Ok(self.term_of(Term::Load { proto, offset, size }))
    }

    fn primitive(
        &mut self,
        context: Option<Qualifiers>,
    ) -> Result<(usize, Option<Qualifiers>), Error> {
        let start = self.next;
        let Kind::Word(word) = self.peek().kind else {
            let node = self.id(context)?;
            return Ok((node, context));
        };
        if let Some(reason) = refused(word) {
            return Err(self.refuse(reason));
        }
        let alone = match word {
            "clnp" | "es-is" | "esis" => {
                iso(word).map(|number| Primitive::Protocol { proto: Some(Proto::Iso), number })
            }
            "inbound" => Some(Primitive::Inbound),
            "outbound" => Some(Primitive::Outbound),
            "pppoed" => Some(Primitive::Pppoed),
            _ => isis(word).map(Primitive::IsIs),
        };
        if let Some(primitive) = alone {
            self.advance();
            return Ok((self.test(start, primitive), None));
        }
        let primitive = match word {
            "vlan" => Primitive::Vlan(self.optional_number(0xfff)?),
            "mpls" => Primitive::Mpls(self.optional_number(0xf_ffff)?),
            "pppoes" => Primitive::Pppoes(self.optional_number(0xffff)?),
            "llc" => {
                self.advance();
                Primitive::Llc(self.accept_word(Control::parse))
            }
            "ifindex" => {
                self.advance();
                Primitive::Interface(self.number()?)
            }
            "less" | "greater" => {
                let less = word == "less";
                self.advance();
                let number = self.number()?;
                let compare = if less { Compare::LessEqual } else { Compare::GreaterEqual };
                let left = self.term_of(Term::Length);
                let right = self.term_of(Term::Number(number));
                Primitive::Relation { compare, left, right }
            }
            _ => return self.qualified(context),
        };
        Ok((self.test(start, primitive), None))
    }

    /// A primitive with qualifiers, or an id without.
    fn qualified(
        &mut self,
        context: Option<Qualifiers>,
    ) -> Result<(usize, Option<Qualifiers>), Error> {
        let start = self.next;
        let proto = self.accept_word(Proto::parse);
        let direction = self.direction();
        let kind = self.accept_word(|word| {
            Some(match word {
                "host" => What::Host,
                "net" => What::Net,
                "port" => What::Port,
                "portrange" => What::PortRange,
                "proto" => What::Proto,
                _ => return None,
            })
        });
        if let Kind::Word(word) = self.peek().kind {
            if let Some(reason) = refused(word) {
                return Err(self.refuse(reason));
            }
            let primitive = match word {
                "broadcast" => Some(Primitive::Broadcast(proto)),
                "multicast" => Some(Primitive::Multicast(proto)),
                _ => None,
            };
            if let Some(primitive) = primitive.filter(|_| direction.is_none() && kind.is_none()) {
                self.advance();
                return Ok((self.test(start, primitive), None));
            }
        }
        if direction.is_none() && kind.is_none() {
            if let Some(proto) = proto {
                return Ok((self.test(start, Primitive::Abbreviation(proto)), None));
            }
            let node = self.id(context)?;
            return Ok((node, context));
        }
        if kind == Some(What::Proto) && direction.is_some() {
            return Err(self.error_at(start, Problem::Refused("a protocol has no direction")));
        }
        let qualifiers = Qualifiers {
            proto,
            direction: direction.unwrap_or_default(),
            kind: kind.unwrap_or(What::Unsaid),
        };
        let node = self.id(Some(qualifiers))?;
        Ok((node, Some(qualifiers)))
    }

    /// `src`, `dst`, or both with `or` or `and` between.
    fn direction(&mut self) -> Option<Direction> {
        let first = self.accept_word(side)?;
        let joint = self.peek();
        if let Kind::Word(word) = self.peek_at(1).kind
            && side(word).is_some_and(|second| second != first)
        {
            let both = is_and(joint.kind);
            if both || is_or(joint.kind) {
                self.advance();
                self.advance();
                return Some(if both { Direction::Both } else { Direction::Either });
            }
        }
        Some(first)
    }

    /// What the qualifiers are about: one value, or several in parentheses.
    fn id(&mut self, context: Option<Qualifiers>) -> Result<usize, Error> {
        let mut negated = false;
        while self.accept_not() {
            negated = !negated;
        }
        let node = if self.at_symbol(Symbol::Open) && context.is_some() {
            self.group(context)?
        } else {
            let start = self.next;
            let primitive = self.value(context)?;
            self.test(start, primitive)
        };
        Ok(if negated { self.push(Node::Not(node)) } else { node })
    }

    fn value(&mut self, context: Option<Qualifiers>) -> Result<Primitive, Error> {
        let token = self.peek();
        match token.kind {
            Kind::End => return Err(self.expected("something to match")),
            Kind::Symbol(_) => return Err(self.expected("a primitive, an address or a number")),
            _ => {}
        }
        let Some(qualifiers) = context else {
            return Err(self.refuse(match token.kind {
                Kind::Number(_) => "say what the number is: host, net, port or proto",
                Kind::Word(_) | Kind::Escaped(_) => "not a keyword: say host, net, port or proto",
                _ => "say what the address is: host, net or ether host",
            }));
        };
        let start = self.next;
        let primitive = match token.kind {
            Kind::Number(number) => self.numeric(qualifiers, number),
            Kind::Dotted { address, bits } => self.dotted(qualifiers, address, bits),
            Kind::V6(address) => self.v6(qualifiers, address.to_bits()),
            Kind::Mac(address) => {
                let fits = matches!(qualifiers.kind, What::Host | What::Unsaid);
                if fits && qualifiers.proto == Some(Proto::Link) {
                    let direction = qualifiers.direction;
                    Ok(Primitive::Ether { direction, address })
                } else {
                    Err(Problem::Refused("a hardware address wants 'ether host' before it"))
                }
            }
            Kind::Word(name) => match refused(name) {
                Some(reason) => Err(Problem::Refused(reason)),
                None => self.name(qualifiers, name),
            },
            Kind::Escaped(name) => self.name(qualifiers, name),
            Kind::End | Kind::Symbol(_) => Err(Problem::Expected("a value")),
        };
        let primitive = primitive.map_err(|problem| self.error_at(start, problem))?;
        self.advance();
        Ok(primitive)
    }

    fn numeric(&mut self, qualifiers: Qualifiers, number: u32) -> Result<Primitive, Problem> {
        match qualifiers.kind {
            What::Port | What::PortRange => {
                let port = u16::try_from(number);
                let port = port.map_err(|_| Problem::Refused("ports end at 65535"))?;
                ports(qualifiers, port, port)
            }
            What::Proto => protocol(qualifiers, number),
            What::Net => {
                // A short number is the net's first octets.
                let zeros = (number.leading_zeros() / 8).saturating_mul(8) % 32;
                let address = number.wrapping_shl(zeros);
                self.masked(qualifiers, address, u32::MAX.wrapping_shl(zeros))
            }
            What::Host | What::Unsaid => host(qualifiers, number, u32::MAX),
        }
    }

    fn dotted(
        &mut self,
        qualifiers: Qualifiers,
        address: u32,
        bits: u8,
    ) -> Result<Primitive, Problem> {
        match qualifiers.kind {
            What::Port | What::PortRange => return Err(Problem::Expected("a port")),
            What::Proto => return Err(Problem::Expected("a protocol")),
            What::Host | What::Net | What::Unsaid => {}
        }
        let mask = u32::MAX.wrapping_shl(32_u32.saturating_sub(bits.into()));
        self.masked(qualifiers, address, mask)
    }

    /// An IPv4 address with what may follow it: `/bits` or `mask`.
    fn masked(
        &mut self,
        qualifiers: Qualifiers,
        address: u32,
        mask: u32,
    ) -> Result<Primitive, Problem> {
        let next = self.peek_at(1).kind;
        let mask = if next == Kind::Symbol(Symbol::Div) {
            self.advance();
            self.advance();
            let Kind::Number(bits @ 0..=32) = self.peek().kind else {
                return Err(Problem::Expected("a prefix length up to 32"));
            };
            u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0)
        } else if next == Kind::Word("mask") {
            self.advance();
            self.advance();
            let Kind::Dotted { address, .. } = self.peek().kind else {
                return Err(Problem::Expected("a mask such as 255.255.255.0"));
            };
            address
        } else {
            return host(qualifiers, address, mask);
        };
        if qualifiers.kind == What::Host {
            return Err(Problem::Refused("a prefix length or mask wants net, not host"));
        }
        if address & !mask != 0 {
            return Err(Problem::Refused("the address has bits set outside its mask"));
        }
        host(qualifiers, address, mask)
    }

    fn v6(&mut self, qualifiers: Qualifiers, address: u128) -> Result<Primitive, Problem> {
        match qualifiers.kind {
            What::Port | What::PortRange => return Err(Problem::Expected("a port")),
            What::Proto => return Err(Problem::Expected("a protocol")),
            What::Host | What::Net | What::Unsaid => {}
        }
        if !matches!(qualifiers.proto, None | Some(Proto::Ip6)) {
            return Err(Problem::Refused("an IPv6 address goes with ip6 or no protocol"));
        }
        let mut mask = u128::MAX;
        if self.peek_at(1).kind == Kind::Symbol(Symbol::Div) {
            self.advance();
            self.advance();
            let Kind::Number(bits @ 0..=128) = self.peek().kind else {
                return Err(Problem::Expected("a prefix length up to 128"));
            };
            if qualifiers.kind == What::Host && bits != 128 {
                return Err(Problem::Refused("a prefix length or mask wants net, not host"));
            }
            mask = mask.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
        }
        if address & !mask != 0 {
            return Err(Problem::Refused("the address has bits set outside its mask"));
        }
        Ok(Primitive::Host6 { direction: qualifiers.direction, address, mask })
    }

    fn name(&self, qualifiers: Qualifiers, name: &str) -> Result<Primitive, Problem> {
        match qualifiers.kind {
            What::Host | What::Unsaid if qualifiers.proto == Some(Proto::Link) => {
                let address = self.names.ether(name).ok_or(Problem::Unknown("hardware address"))?;
                Ok(Primitive::Ether { direction: qualifiers.direction, address })
            }
            What::Host | What::Unsaid => Err(Problem::Refused(
                "neither a keyword nor an address (names of hosts are not looked up)",
            )),
            What::Net => Err(Problem::Refused("names of nets are not looked up: give an address")),
            What::Port => {
                let (proto, port) = service(self.names, qualifiers.proto, name)?;
                ports(Qualifiers { proto, ..qualifiers }, port, port)
            }
            What::PortRange => self.range(qualifiers, name),
            What::Proto if qualifiers.proto == Some(Proto::Link) => {
                let known = match name {
                    "loopback" => Some(0x9000),
                    name => Proto::parse(name).and_then(Proto::ether_type),
                };
                protocol(qualifiers, known.ok_or(Problem::Unknown("Ethernet type"))?)
            }
            What::Proto if qualifiers.proto == Some(Proto::Iso) => {
                protocol(qualifiers, iso(name).ok_or(Problem::Unknown("ISO protocol"))?)
            }
            What::Proto => {
                let number = self.names.protocol(name).ok_or(Problem::Unknown("protocol"))?;
                protocol(qualifiers, number.into())
            }
        }
    }

    /// `low-high`, in numbers or names; names may have dashes in them, too.
    fn range(&self, qualifiers: Qualifiers, text: &str) -> Result<Primitive, Problem> {
        let end = |text: &str| match lex::number(text) {
            Some(number) => u16::try_from(number?)
                .map(|port| (qualifiers.proto, port))
                .map_err(|_| Problem::Refused("ports end at 65535")),
            None => service(self.names, qualifiers.proto, text),
        };
        let mut problem = None;
        for (dash, _) in text.match_indices('-') {
            let Some((low, high)) = text.split_at_checked(dash) else { continue };
            let high = high.trim_start_matches('-');
            match (end(low), end(high)) {
                (Ok((one, low)), Ok((other, high))) => {
                    let proto = if one == other { one } else { qualifiers.proto };
                    let (low, high) = (low.min(high), low.max(high));
                    return ports(Qualifiers { proto, ..qualifiers }, low, high);
                }
                (Err(wrong), _) | (_, Err(wrong)) => problem = Some(wrong),
            }
        }
        match problem {
            Some(problem) => Err(problem),
            None => {
                let (proto, port) = end(text)?;
                ports(Qualifiers { proto, ..qualifiers }, port, port)
            }
        }
    }

    /// A keyword, and a number after it unless something else stands there.
    fn optional_number(&mut self, most: u32) -> Result<Option<u32>, Error> {
        self.advance();
        if !matches!(self.peek().kind, Kind::Number(_) | Kind::Symbol(Symbol::Open)) {
            return Ok(None);
        }
        let start = self.next;
        let number = self.number()?;
        if number > most {
            return Err(self.error_at(start, Problem::Refused("the number is too large for this")));
        }
        Ok(Some(number))
    }

    /// A number, perhaps in parentheses.
    fn number(&mut self) -> Result<u32, Error> {
        let mut open = 0_usize;
        while self.accept(Symbol::Open) {
            open = open.saturating_add(1);
        }
        let number = match self.peek().kind {
            Kind::Number(number) => number,
            Kind::Word(word) => constant(word).ok_or_else(|| self.expected("a number"))?,
            _ => return Err(self.expected("a number")),
        };
        self.advance();
        for _ in 0..open {
            self.expect(Symbol::Close, ")")?;
        }
        Ok(number)
    }

    fn push(&mut self, node: Node) -> usize {
        self.tree.nodes.push(node);
        self.tree.nodes.len().saturating_sub(1)
    }

    fn term_of(&mut self, term: Term) -> usize {
        self.tree.terms.push(term);
        self.tree.terms.len().saturating_sub(1)
    }

    /// A primitive that stretches from the token at `start` to the one before this.
    fn test(&mut self, start: usize, primitive: Primitive) -> usize {
        let at = self.tokens.get(start).map_or(0, |token| token.at);
        let last = self.tokens.get(self.next.saturating_sub(1)).unwrap_or(&END);
        let len = last.at.saturating_add(last.len).saturating_sub(at);
        self.push(Node::Test { primitive, at, len })
    }

    fn peek(&self) -> Token<'a> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Token<'a> {
        let token = self.tokens.get(self.next.saturating_add(ahead));
        token.or_else(|| self.tokens.last()).copied().unwrap_or(END)
    }

    const fn advance(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    fn at_symbol(&self, symbol: Symbol) -> bool {
        self.peek().kind == Kind::Symbol(symbol)
    }

    fn accept(&mut self, symbol: Symbol) -> bool {
        self.accept_if(|kind| kind == Kind::Symbol(symbol))
    }

    fn accept_and(&mut self) -> bool {
        self.accept_if(is_and)
    }

    fn accept_or(&mut self) -> bool {
        self.accept_if(is_or)
    }

    fn accept_not(&mut self) -> bool {
        self.accept_if(|kind| matches!(kind, Kind::Symbol(Symbol::Not) | Kind::Word("not")))
    }

    fn accept_if(&mut self, fits: impl Fn(Kind<'_>) -> bool) -> bool {
        let fits = fits(self.peek().kind);
        if fits {
            self.advance();
        }
        fits
    }

    fn accept_word<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let Kind::Word(word) = self.peek().kind else { return None };
        let value = read(word)?;
        self.advance();
        Some(value)
    }

    fn expect(&mut self, symbol: Symbol, name: &'static str) -> Result<(), Error> {
        if self.accept(symbol) { Ok(()) } else { Err(self.expected(name)) }
    }

    fn expected(&self, what: &'static str) -> Error {
        self.error(Problem::Expected(what))
    }

    fn refuse(&self, reason: &'static str) -> Error {
        self.error(Problem::Refused(reason))
    }

    fn error(&self, problem: Problem) -> Error {
        let Token { at, len, .. } = self.peek();
        Error { at, len, problem }
    }

    /// An error from the token at `start` to this one.
    fn error_at(&self, start: usize, problem: Problem) -> Error {
        let at = self.tokens.get(start).map_or(0, |token| token.at);
        let last = self.peek();
        let len = last.at.saturating_add(last.len).saturating_sub(at);
        Error { at, len, problem }
    }
}

impl Kind<'_> {
    /// Whether it stands between numbers and nowhere else.
    fn is_operator(self) -> bool {
        let Kind::Symbol(symbol) = self else { return false };
        comparison(symbol).is_some()
            || matches!(
                symbol,
                Symbol::Add
                    | Symbol::BitAnd
                    | Symbol::BitOr
                    | Symbol::Div
                    | Symbol::Left
                    | Symbol::Mod
                    | Symbol::Mul
                    | Symbol::Right
                    | Symbol::Sub
                    | Symbol::Xor
            )
    }
}

const fn comparison(symbol: Symbol) -> Option<Compare> {
    Some(match symbol {
        Symbol::Equal => Compare::Equal,
        Symbol::Greater => Compare::Greater,
        Symbol::GreaterEqual => Compare::GreaterEqual,
        Symbol::Less => Compare::Less,
        Symbol::LessEqual => Compare::LessEqual,
        Symbol::NotEqual => Compare::NotEqual,
        _ => return None,
    })
}

fn is_and(kind: Kind<'_>) -> bool {
    matches!(kind, Kind::Symbol(Symbol::And) | Kind::Word("and"))
}

fn is_or(kind: Kind<'_>) -> bool {
    matches!(kind, Kind::Symbol(Symbol::Or) | Kind::Word("or"))
}

fn is_length(word: &str) -> bool {
    matches!(word, "len" | "length")
}

fn side(word: &str) -> Option<Direction> {
    match word {
        "src" => Some(Direction::Src),
        "dst" => Some(Direction::Dst),
        _ => None,
    }
}

fn host(qualifiers: Qualifiers, address: u32, mask: u32) -> Result<Primitive, Problem> {
    let Qualifiers { proto, direction, .. } = qualifiers;
    match proto {
        None | Some(Proto::Arp | Proto::Ip | Proto::Rarp) => {
            Ok(Primitive::Host { proto, direction, address, mask })
        }
        Some(Proto::Decnet) => Err(Problem::Refused("DECnet addresses are not filtered")),
        Some(Proto::Link) => Err(Problem::Expected("a hardware address")),
        Some(_) => Err(Problem::Refused("an IPv4 address goes with ip, arp, rarp or no protocol")),
    }
}

const fn ports(qualifiers: Qualifiers, low: u16, high: u16) -> Result<Primitive, Problem> {
    let Qualifiers { proto, direction, .. } = qualifiers;
    match proto {
        None | Some(Proto::Sctp | Proto::Tcp | Proto::Udp) => {
            Ok(Primitive::Port { proto, direction, low, high })
        }
        Some(_) => Err(Problem::Refused("ports go with tcp, udp, sctp or no protocol")),
    }
}

const fn protocol(qualifiers: Qualifiers, number: u32) -> Result<Primitive, Problem> {
    let most = match qualifiers.proto {
        None | Some(Proto::Ip | Proto::Ip6 | Proto::Isis | Proto::Iso) => 0xff,
        Some(Proto::Link) => 0xffff,
        Some(_) => {
            return Err(Problem::Refused("proto goes with ether, ip, ip6, iso, isis or nothing"));
        }
    };
    if number > most {
        return Err(Problem::Refused("the number is too large for a protocol"));
    }
    Ok(Primitive::Protocol { proto: qualifiers.proto, number })
}

/// A service by name. If it has one transport only, that is asked for, too.
fn service(
    names: &dyn Names,
    proto: Option<Proto>,
    name: &str,
) -> Result<(Option<Proto>, u16), Problem> {
    let Service { tcp, udp, sctp } = names.service(name);
    let found = match proto {
        Some(Proto::Sctp) => sctp.map(|port| (proto, port)),
        Some(Proto::Tcp) => tcp.map(|port| (proto, port)),
        Some(Proto::Udp) => udp.map(|port| (proto, port)),
        _ => match (tcp, udp) {
            (Some(port), Some(other)) if port == other => Some((None, port)),
            (Some(port), _) => Some((Some(Proto::Tcp), port)),
            (None, Some(port)) => Some((Some(Proto::Udp), port)),
            (None, None) => sctp.map(|port| (Some(Proto::Sctp), port)),
        },
    };
    found.ok_or(Problem::Unknown("service"))
}
