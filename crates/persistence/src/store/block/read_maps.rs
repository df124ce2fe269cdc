//! Maps of keys to values, read from their columns.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use taximeter_models::Metadata;

use super::column::{ColumnId, Map};
use super::error::BlockError;
use super::maps::{Kind, read_shapes};
use super::numbers::Numbers;
use super::presence::Presence;
use super::reader::Reader;
use super::texts::Texts;

/// Which keys each row of a map has.
#[derive(Debug)]
pub(super) struct Shapes {
    /// The shape of each row.
    pub(super) rows: Arc<Numbers>,
    pub(super) list: Vec<Vec<u16>>,
    /// The columns of the map, in the order in which shapes count them.
    pub(super) columns: Vec<(ColumnId, Kind, String)>,
}

impl Shapes {
    pub(super) fn read(reader: &mut Reader<'_>, map: Map, rows: usize) -> Result<Self, BlockError> {
        let keys = reader.meta.keys_of(map).into_iter();
        let columns: Vec<_> =
            keys.map(|(column, key)| (column, key.kind, key.name.clone())).collect();
        let shapes = match reader.payload(map.shapes())? {
            Some(list) => read_shapes(list.bytes(), list.count, columns.len()),
            None => Ok(Vec::new()),
        };
        let shapes = shapes.map_err(|broken| broken.at(Some(map.shapes())))?;
        let rows = reader.numbers_of(map.shape(), rows)?;
        let outside = super::error::Broken("a row has a shape that there is not");
        let within = |shape: u64| shape < shapes.len() as u64;
        let all = match &*rows {
            Numbers::Constant(shape, count) => *count == 0 || within(*shape),
            rows => rows.each().iter().all(|shape| within(*shape)),
        };
        if all {
            Ok(Self { rows, list: shapes, columns })
        } else {
            Err(outside.at(Some(map.shape())))
        }
    }

    /// The places of the columns that a row has.
    fn of(&self, row: usize) -> &[u16] {
        self.list
            .get(usize::try_from(self.rows.get(row)).unwrap_or(usize::MAX))
            .map_or(&[], Vec::as_slice)
    }

    /// Of each row whether it has the column at a place: 1 or 0.
    pub(super) fn has(&self, place: usize) -> Vec<u64> {
        let has = |shape: &Vec<u16>| shape.iter().any(|other| usize::from(*other) == place);
        let having: Vec<u64> = self.list.iter().map(|shape| has(shape).into()).collect();
        let bit = |shape: &u64| usize::try_from(*shape).map_or(0, |shape| having[shape]);
        self.rows.each().iter().map(bit).collect()
    }

    /// Which rows have the column at a place, and how many they are.
    pub(super) fn presence(&self, place: usize) -> (Presence, usize) {
        let has = |shape: &Vec<u16>| shape.iter().any(|other| usize::from(*other) == place);
        let having: Vec<u64> = self.list.iter().map(|shape| has(shape).into()).collect();
        let bit = |shape: u64| usize::try_from(shape).map_or(0, |shape| having[shape]);
        match &*self.rows {
            Numbers::Constant(_, 0) => (Presence::Nothing(0), 0),
            Numbers::Constant(shape, count) => {
                Presence::of(&Numbers::Constant(bit(*shape), *count), 1)
            }
            rows => Presence::where_it_is(rows.each().iter().map(|shape| bit(*shape) != 0)),
        }
    }
}

/// The values of one key and kind, of those rows that have it.
#[derive(Debug)]
pub(super) struct MapColumn {
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    pub(super) values: MapValues,
}

#[derive(Debug)]
pub(super) enum MapValues {
    /// True, false or null: that the key is there says all.
    Fixed,
    Numbers(Arc<Numbers>),
    Texts(Arc<Texts>),
}

impl MapColumn {
    /// The column at a place.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        shapes: &Shapes,
        place: usize,
    ) -> Result<Self, BlockError> {
        let (column, kind, key) = &shapes.columns[place];
        let (presence, count) = shapes.presence(place);
        let values = if kind.is_text() {
            MapValues::Texts(reader.texts_of(*column, count)?)
        } else if kind.is_number() {
            MapValues::Numbers(reader.numbers_of(*column, count)?)
        } else {
            MapValues::Fixed
        };
        Ok(Self { key: key.clone(), kind: *kind, presence, values })
    }

    /// The text of a row that has one, JSON included.
    pub(super) fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        match &self.values {
            MapValues::Texts(texts) => self.presence.place(row).map(|place| texts.text(place)),
            _ => None,
        }
    }

    pub(super) fn number(&self, row: usize) -> Option<u64> {
        match &self.values {
            MapValues::Numbers(numbers) => self.presence.place(row).map(|place| numbers.get(place)),
            _ => None,
        }
    }

    /// The value of a row that has one; none where it is no JSON.
    pub(super) fn value(&self, row: usize) -> Option<Value> {
        match self.kind {
            Kind::Text => self.text(row).map(Value::from),
            Kind::Json | Kind::Rest => serde_json::from_str(&self.text(row)?).ok(),
            kind => Some(kind.value(self.number(row).unwrap_or_default())),
        }
    }
}

/// A whole map of each row.
#[derive(Debug)]
pub(super) struct MapColumns {
    shapes: Shapes,
    columns: Vec<MapColumn>,
}

impl MapColumns {
    pub(super) fn read(reader: &mut Reader<'_>, map: Map, rows: usize) -> Result<Self, BlockError> {
        let shapes = Shapes::read(reader, map, rows)?;
        let columns =
            (0..shapes.columns.len()).map(|place| MapColumn::read(reader, &shapes, place));
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Self { shapes, columns })
    }

    /// The same, or no map of any row.
    pub(super) fn read_if(
        is_asked: bool,
        reader: &mut Reader<'_>,
        map: Map,
        rows: usize,
    ) -> Result<Self, BlockError> {
        if is_asked {
            return Self::read(reader, map, rows);
        }
        let rows = Arc::new(Numbers::Constant(0, rows));
        let shapes = Shapes { rows, list: Vec::new(), columns: Vec::new() };
        Ok(Self { shapes, columns: Vec::new() })
    }

    fn of(&self, row: usize) -> impl Iterator<Item = &MapColumn> {
        self.shapes.of(row).iter().map(|place| &self.columns[usize::from(*place)])
    }

    /// The map of a row; none where a value is no JSON.
    pub(super) fn values(&self, row: usize) -> Option<Metadata> {
        let mut map = Metadata::new();
        for column in self.of(row) {
            let value = column.value(row)?;
            match (column.kind, value) {
                (Kind::Rest, Value::Object(rest)) => map.extend(rest),
                (Kind::Rest, _) => return None,
                (_, value) => {
                    map.insert(column.key.clone(), value);
                }
            }
        }
        Some(map)
    }

    /// The map of a row whose values are all texts; none where one is not.
    pub(super) fn texts<T: Ord + for<'t> From<&'t str>>(
        &self,
        row: usize,
    ) -> Option<BTreeMap<T, T>> {
        let mut map = BTreeMap::new();
        for column in self.of(row) {
            match column.kind {
                Kind::Text => {
                    map.insert(T::from(&column.key), T::from(&*column.text(row)?));
                }
                Kind::Rest => {
                    let rest: BTreeMap<String, String> =
                        serde_json::from_str(&column.text(row)?).ok()?;
                    map.extend(rest.iter().map(|(key, text)| (T::from(key), T::from(text))));
                }
                _ => return None,
            }
        }
        Some(map)
    }

    /// The numbers of a row, by key.
    pub(super) fn numbers(&self, row: usize) -> impl Iterator<Item = (&str, u64)> {
        self.of(row).filter_map(move |column| Some((column.key.as_str(), column.number(row)?)))
    }
}
