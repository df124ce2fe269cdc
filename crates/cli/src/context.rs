//! What every command is given: where the store is, how to draw, what time it is.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter::Settings;
use taximeter::history::{History, Windows};
use taximeter::pricing::{LiveBook, LiveBookBuilder};
use taximeter::report::Style;
use taximeter::store::SqliteStore;

use crate::draw::Screen;
use crate::{Colour, Terminal, shield};

pub(crate) struct Context {
    store: Option<PathBuf>,
    /// Whether answers are documents.
    pub(crate) json: bool,
    pub(crate) style: Style,
    /// Whether a bar of progress is seen.
    pub(crate) progress: bool,
    /// Whether the output goes to a terminal.
    pub(crate) terminal: bool,
    pub(crate) now: DateTime<Utc>,
}

impl Context {
    pub(crate) fn new(
        terminal: Terminal,
        store: Option<PathBuf>,
        json: bool,
        colour: Colour,
        width: Option<u16>,
    ) -> Self {
        let colour = match colour {
            Colour::Auto => terminal.colour,
            Colour::Always => true,
            Colour::Never => false,
        };
        let width = width.unwrap_or(terminal.width);
        let style = if colour { Style::rich(width) } else { Style::plain(width) };
        Self {
            store,
            json,
            style,
            progress: terminal.progress,
            terminal: terminal.interactive,
            now: Utc::now(),
        }
    }

    pub(crate) fn screen(&self) -> Screen {
        Screen::new(self.style)
    }

    /// Where the store is: as the arguments say, or else the settings.
    pub(crate) fn store_path(&self, settings: &Settings) -> PathBuf {
        self.store.clone().unwrap_or_else(|| settings.store_path())
    }

    /// The store, opened to be read alone; what is asked changes nothing.
    pub(crate) fn history(&self) -> Result<History, Box<dyn Error>> {
        let settings = Settings::load()?;
        let path = self.store_path(&settings);
        let store = SqliteStore::at(path).summarize(Arc::new(Windows)).open_to_read()?;
        Ok(with_settings(History::new(Arc::new(store)), &settings)?)
    }

    /// The store, opened to be written; it is made where it is not there and may be made.
    pub(crate) fn writable(&self, create: bool) -> Result<(History, PathBuf), Box<dyn Error>> {
        let settings = Settings::load()?;
        let path = self.store_path(&settings);
        let store = SqliteStore::at(path).summarize(Arc::new(Windows)).keep(settings.keep.into());
        let store = store.create(create).open()?;
        let path = store.path().to_owned();
        Ok((with_settings(History::new(Arc::new(store)), &settings)?, path))
    }

    /// The store itself, for what only this engine can do.
    pub(crate) fn sqlite(&self) -> Result<SqliteStore, Box<dyn Error>> {
        let settings = Settings::load()?;
        let store = SqliteStore::at(self.store_path(&settings)).summarize(Arc::new(Windows));
        Ok(store.keep(settings.keep.into()).open_to_read()?)
    }

    /// The same, opened to be written.
    pub(crate) fn sqlite_to_write(&self) -> Result<SqliteStore, Box<dyn Error>> {
        let settings = Settings::load()?;
        let store = SqliteStore::at(self.store_path(&settings)).summarize(Arc::new(Windows));
        Ok(store.keep(settings.keep.into()).create(false).open()?)
    }

    /// For what goes out as it is: to a file or a pipe to the byte, to a terminal so that it does nothing to it.
    pub(crate) fn raw<'w>(&self, output: &'w mut impl Write) -> Box<dyn Write + 'w> {
        if self.terminal { Box::new(shield::Shield::new(output)) } else { Box::new(output) }
    }

    /// An answer as JSON, or as it is drawn.
    pub(crate) fn print<D: Serialize>(
        &self,
        output: &mut impl Write,
        document: &D,
        draw: impl FnOnce(&mut Screen, &D),
    ) -> Result<(), Box<dyn Error>> {
        if self.json {
            shield::print(output, document)?;
        } else {
            let mut screen = self.screen();
            draw(&mut screen, document);
            write!(output, "{}", screen.into_text())?;
        }
        Ok(())
    }
}

/// The prices and thresholds of the settings.
fn with_settings(
    history: History,
    settings: &Settings,
) -> Result<History, taximeter::pricing::ReadBookError> {
    let prices = live_book(settings).build()?.in_force();
    Ok(history.prices(prices).thresholds(settings.thresholds.clone()))
}

/// The price book that the settings name.
pub(crate) fn live_book(settings: &Settings) -> LiveBookBuilder {
    let mut live = LiveBook::builder().every(None);
    if let Some(path) = &settings.pricing.book {
        live = live.book(path);
    }
    if let Some(path) = &settings.pricing.overrides {
        live = live.overrides(path);
    }
    live
}
