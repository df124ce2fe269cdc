//! Maps of keys to values, such as metadata: a column for each key and kind of value, and for each row its shape, which
//! says what of them it has.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use serde_json::Value;

use super::bytes::{Cursor, put_number, unzigzag, zigzag};
use super::error::Broken;
use super::texts::Gathered;

/// Keys beyond this many in a block go, with their values, into one column of JSON.
const MOST_COLUMNS: usize = 256;

/// What kind of value a column has. The numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Text,
    Unsigned,
    Negative,
    Float,
    True,
    False,
    Null,
    /// A list or a map, as JSON.
    Json,
    /// A map of further keys, as JSON.
    Rest,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Text,
        Self::Unsigned,
        Self::Negative,
        Self::Float,
        Self::True,
        Self::False,
        Self::Null,
        Self::Json,
        Self::Rest,
    ];

    pub(super) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Rest)
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Unsigned | Self::Negative | Self::Float)
    }

    /// The value that a number or nothing stands for.
    pub(super) fn value(self, number: u64) -> Value {
        match self {
            Self::Unsigned => number.into(),
            Self::Negative => unzigzag(number).into(),
            Self::Float => f64::from_bits(number).into(),
            Self::True => true.into(),
            Self::False => false.into(),
            _ => Value::Null,
        }
    }
}

/// A value on its way into a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'r> {
    Text(&'r str),
    Number(Kind, u64),
    /// True, false or null.
    Fixed(Kind),
    Json(&'r Value),
}

impl<'r> From<&'r Value> for Item<'r> {
    fn from(value: &'r Value) -> Self {
        match value {
            Value::Null => Self::Fixed(Kind::Null),
            Value::Bool(value) => Self::Fixed(if *value { Kind::True } else { Kind::False }),
            Value::String(text) => Self::Text(text),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => Self::Number(Kind::Unsigned, number),
                (None, Some(number), _) => Self::Number(Kind::Negative, zigzag(number)),
                (None, None, Some(number)) => Self::Number(Kind::Float, number.to_bits()),
                (None, None, None) => Self::Json(value),
            },
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

impl Item<'_> {
    fn kind(self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Number(kind, _) | Self::Fixed(kind) => kind,
            Self::Json(_) => Kind::Json,
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(kind, number) => kind.value(number),
            Self::Fixed(kind) => kind.value(0),
            Self::Json(value) => value.clone(),
        }
    }
}

/// The values of one key and kind.
#[derive(Debug)]
pub(super) struct Keyed<'r> {
    pub(super) key: &'r str,
    pub(super) kind: Kind,
    pub(super) numbers: Vec<u64>,
    pub(super) texts: Gathered,
    /// How many rows have it.
    pub(super) rows: usize,
}

/// The columns of a map, as they grow row by row.
#[derive(Debug, Default)]
pub(super) struct MapSheet<'r> {
    pub(super) columns: Vec<Keyed<'r>>,
    places: HashMap<(&'r str, Kind), u16, RandomState>,
    shapes: Vec<Vec<u16>>,
    shape_places: HashMap<Vec<u16>, u64, RandomState>,
    /// The shape of each row.
    pub(super) rows: Vec<u64>,
    /// The columns of the row at hand.
    shape: Vec<u16>,
}

/// A JSON value that would not be read back: `serde_json` reads up to 127 levels.
#[derive(Debug)]
pub(super) struct TooDeep;

const MOST_LEVELS: usize = 120;

impl<'r> MapSheet<'r> {
    /// Adds the map of a row.
    pub(super) fn push(
        &mut self,
        map: impl Iterator<Item = (&'r str, Item<'r>)>,
    ) -> Result<(), TooDeep> {
        let last = self.rows.last().copied();
        self.shape.clear();
        // Whether each column so far is that of the row before.
        let mut is_same = true;
        let mut rest = BTreeMap::new();
        for (at, (key, item)) in map.enumerate() {
            if matches!(item, Item::Json(value) if levels(value, MOST_LEVELS).is_none()) {
                return Err(TooDeep);
            }
            let expected = last.and_then(|shape| self.shapes[as_place(shape)].get(at).copied());
            match self.place(key, item.kind(), expected) {
                Some(place) => {
                    self.columns[usize::from(place)].push(item);
                    self.shape.push(place);
                    is_same &= expected == Some(place);
                }
                None => {
                    rest.insert(key, item.value());
                }
            }
        }
        if !rest.is_empty() {
            let place = self.add("", Kind::Rest);
            let json = serde_json::to_string(&rest).unwrap_or_default();
            self.columns[usize::from(place)].push_text(&json);
            self.shape.push(place);
            is_same = false;
        }
        let is_whole = |shape: &u64| self.shapes[as_place(*shape)].len() == self.shape.len();
        let same = last.filter(|shape| is_same && is_whole(shape));
        let row = same.unwrap_or_else(|| self.find_shape());
        self.rows.push(row);
        Ok(())
    }

    /// The column of a key of another block; none where there are too many.
    pub(super) fn column(&mut self, key: &'r str, kind: Kind) -> Option<u16> {
        if kind == Kind::Rest { Some(self.add(key, kind)) } else { self.place(key, kind, None) }
    }

    /// The number of a shape.
    pub(super) fn shape(&mut self, shape: Vec<u16>) -> u64 {
        self.shape = shape;
        self.find_shape()
    }

    /// The column of a key, which most often is that of the row before; none where there are too many.
    fn place(&mut self, key: &'r str, kind: Kind, expected: Option<u16>) -> Option<u16> {
        let is_it = |place: &u16| {
            let column = &self.columns[usize::from(*place)];
            column.key == key && column.kind == kind
        };
        let known = expected.filter(is_it).or_else(|| self.places.get(&(key, kind)).copied());
        known.or_else(|| (self.columns.len() < MOST_COLUMNS).then(|| self.add(key, kind)))
    }

    fn add(&mut self, key: &'r str, kind: Kind) -> u16 {
        let columns = &mut self.columns;
        *self.places.entry((key, kind)).or_insert_with(|| {
            let place = u16::try_from(columns.len()).unwrap_or(u16::MAX);
            columns.push(Keyed {
                key,
                kind,
                numbers: Vec::new(),
                texts: Gathered::default(),
                rows: 0,
            });
            place
        })
    }

    fn find_shape(&mut self) -> u64 {
        let shapes = &mut self.shapes;
        *self.shape_places.entry(self.shape.clone()).or_insert_with_key(|shape| {
            shapes.push(shape.clone());
            shapes.len() as u64 - 1
        })
    }

    /// The list of shapes, and how many they are.
    pub(super) fn shapes(&self) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        for shape in &self.shapes {
            put_number(&mut bytes, shape.len() as u64);
            for place in shape {
                put_number(&mut bytes, u64::from(*place));
            }
        }
        (bytes, self.shapes.len())
    }
}

impl Keyed<'_> {
    fn push(&mut self, item: Item<'_>) {
        match item {
            Item::Text(text) => return self.push_text(text),
            Item::Json(value) => return self.push_text(&value.to_string()),
            Item::Number(_, number) => self.numbers.push(number),
            Item::Fixed(_) => {}
        }
        self.rows += 1;
    }

    fn push_text(&mut self, text: &str) {
        self.texts.push(text);
        self.rows += 1;
    }
}

/// How deep a value is nested, if no deeper than so many levels.
fn levels(value: &Value, most: usize) -> Option<usize> {
    let below = most.checked_sub(1)?;
    match value {
        Value::Array(list) => list
            .iter()
            .try_fold(1, |deepest, item| levels(item, below).map(|levels| deepest.max(levels + 1))),
        Value::Object(map) => map
            .values()
            .try_fold(1, |deepest, item| levels(item, below).map(|levels| deepest.max(levels + 1))),
        _ => Some(1),
    }
}

fn as_place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads a list of so many shapes over so many columns.
pub(super) fn read_shapes(
    bytes: &[u8],
    count: usize,
    columns: usize,
) -> Result<Vec<Vec<u16>>, Broken> {
    let mut cursor = Cursor(bytes);
    // Each shape takes a byte or more.
    let mut shapes = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let places = (0..cursor.count()?).map(|_| {
            let place = cursor.number()?;
            let place = u16::try_from(place).ok().filter(|place| usize::from(*place) < columns);
            place.ok_or(Broken("a key points outside of its list"))
        });
        shapes.push(places.collect::<Result<_, _>>()?);
    }
    cursor.end()?;
    Ok(shapes)
}
