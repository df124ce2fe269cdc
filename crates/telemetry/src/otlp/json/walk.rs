//! Objects and lists of JSON, walked field by field as they are read, so that nothing is read twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::scalars::Text;

/// What is made of the fields of one object after the other.
pub(super) trait Fields<'a> {
    /// What an object is, for who sent something else.
    const WHAT: &'static str;

    /// Begins an object.
    fn begin(&mut self);

    /// Reads the value of a field; of one that is not known, it is passed over.
    fn field<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error>;

    /// Ends the object.
    fn end<E: Error>(&mut self) -> Result<(), E>;
}

/// One object; `null` is as good as none.
pub(super) struct Object<'f, F>(pub(super) &'f mut F);

/// A list of objects; `null` is as good as an empty one.
pub(super) struct Objects<'f, F>(pub(super) &'f mut F);

impl<'a, F: Fields<'a>> DeserializeSeed<'a> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'a, F: Fields<'a>> Visitor<'a> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(F::WHAT)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        self.0.begin();
        while let Some(name) = object.next_key::<Text<'a>>()? {
            self.0.field(&name, &mut object)?;
        }
        self.0.end()
    }
}

impl<'a, F: Fields<'a>> DeserializeSeed<'a> for Objects<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'a, F: Fields<'a>> Visitor<'a> for Objects<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list, each item {}", F::WHAT)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Object(&mut *self.0))?.is_some() {}
        Ok(())
    }
}
