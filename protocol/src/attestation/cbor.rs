//! A strict, zero-copy reader over `minicbor`: definite lengths, shortest-form heads.
//!
//! `minicbor` tells definite from indefinite; the shortest form is checked here, by comparing
//! how many bytes a head took with how many its value needs (RFC 8949 §4.2.1).

use minicbor::data::Type;
use minicbor::decode::Decoder;

/// What one item turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Ends too early, or is no CBOR.
    Cut,
    /// Indefinite length, a head longer than needed, or text that is not UTF-8.
    Form,
    /// Another type than the one asked for.
    Type,
}

/// How many pairs a map announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapLen {
    Definite(u64),
    Indefinite,
}

#[derive(Debug)]
pub(super) struct Reader<'b>(Decoder<'b>);

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    pub(super) fn at_end(&self) -> bool {
        self.0.position() == self.0.input().len()
    }

    /// Whether the next item is `null`; consumes it if so.
    pub(super) fn null(&mut self) -> bool {
        self.kind() == Ok(Type::Null) && self.0.null().is_ok()
    }

    /// Whether the next byte ends an indefinite item; consumes it if so.
    pub(super) fn end_of_indefinite(&mut self) -> bool {
        let ends = matches!(self.0.datatype(), Ok(Type::Break));
        if ends {
            self.0.set_position(self.0.position().saturating_add(1));
        }
        ends
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Fault> {
        let start = self.0.position();
        if !matches!(self.kind()?, Type::U8 | Type::U16 | Type::U32 | Type::U64) {
            return Err(Fault::Type);
        }
        let value = self.0.u64().map_err(|_| Fault::Cut)?;
        shortest(start, self.0.position(), value)?;
        Ok(value)
    }

    pub(super) fn bytes(&mut self) -> Result<&'b [u8], Fault> {
        let start = self.0.position();
        self.definite(Type::Bytes, Type::BytesIndef)?;
        let bytes = self.0.bytes().map_err(|_| Fault::Cut)?;
        self.shortest_string(start, bytes.len())?;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'b str, Fault> {
        let start = self.0.position();
        self.definite(Type::String, Type::StringIndef)?;
        let text = self
            .0
            .str()
            .map_err(|error| if error.is_end_of_input() { Fault::Cut } else { Fault::Form })?;
        self.shortest_string(start, text.len())?;
        Ok(text)
    }

    pub(super) fn array(&mut self) -> Result<u64, Fault> {
        let start = self.0.position();
        self.definite(Type::Array, Type::ArrayIndef)?;
        let len = self.0.array().map_err(|_| Fault::Cut)?.ok_or(Fault::Form)?;
        shortest(start, self.0.position(), len)?;
        Ok(len)
    }

    /// A map of definite length.
    pub(super) fn map(&mut self) -> Result<u64, Fault> {
        match self.any_map()? {
            MapLen::Definite(len) => Ok(len),
            MapLen::Indefinite => Err(Fault::Form),
        }
    }

    pub(super) fn any_map(&mut self) -> Result<MapLen, Fault> {
        let start = self.0.position();
        if !matches!(self.kind()?, Type::Map | Type::MapIndef) {
            return Err(Fault::Type);
        }
        let Some(len) = self.0.map().map_err(|_| Fault::Cut)? else {
            return Ok(MapLen::Indefinite);
        };
        shortest(start, self.0.position(), len)?;
        Ok(MapLen::Definite(len))
    }

    /// A tag's number; `None` if the next item has none.
    pub(super) fn tag(&mut self) -> Result<Option<u64>, Fault> {
        let start = self.0.position();
        if self.kind()? != Type::Tag {
            return Ok(None);
        }
        let tag = self.0.tag().map_err(|_| Fault::Cut)?.as_u64();
        shortest(start, self.0.position(), tag)?;
        Ok(Some(tag))
    }

    fn definite(&self, definite: Type, indefinite: Type) -> Result<(), Fault> {
        let kind = self.kind()?;
        if kind == definite {
            Ok(())
        } else if kind == indefinite {
            Err(Fault::Form)
        } else {
            Err(Fault::Type)
        }
    }

    /// What the next item is; a break in place of one, and what CBOR reserves, are none.
    fn kind(&self) -> Result<Type, Fault> {
        match self.0.datatype() {
            Err(_) | Ok(Type::Break | Type::Unknown(_)) => Err(Fault::Cut),
            Ok(kind) => Ok(kind),
        }
    }

    fn shortest_string(&self, start: usize, len: usize) -> Result<(), Fault> {
        let head_end = self.0.position().saturating_sub(len);
        shortest(start, head_end, u64::try_from(len).unwrap_or(u64::MAX))
    }
}

/// `value` must not fit into a shorter head than the one from `start` to `end`.
fn shortest(start: usize, end: usize, value: u64) -> Result<(), Fault> {
    let needed = match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    };
    if end.checked_sub(start) == Some(needed) { Ok(()) } else { Err(Fault::Form) }
}
