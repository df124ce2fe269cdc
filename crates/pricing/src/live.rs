//! A price book that follows its files: what is written there holds for the next call, and a broken file changes
//! nothing.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, NaiveDate, Utc};

use crate::{PriceBook, ReadBookError};

/// A price book that follows up to two files: a book that replaces the embedded one, and prices of one's own over it.
///
/// It has no thread and asks no network. Whoever asks for the book looks at the files, at most once in so many seconds,
/// and reads them where their time or length has changed. Both are taken or neither: while one of them cannot be read,
/// the last good book stays in force, the error is kept, and the files are tried again at the next look. A program that
/// writes such a file does best to write another one and rename it: half of a TOML file may look like a whole one.
///
/// ```
/// use taximeter_pricing::LiveBook;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("mine.json");
/// std::fs::write(&path, r#"{"models": [{"provider": "me", "id": "m", "cards": [{"rates": {"input": 1}}]}]}"#)?;
/// let live = LiveBook::builder().overrides(&path).build()?;
/// assert!(live.book().find(Some("me"), "m").is_some());
///
/// // What is broken changes nothing, and says why.
/// std::fs::write(&path, r#"{"models": ["#)?;
/// assert!(live.reload().is_err());
/// assert!(live.book().find(Some("me"), "m").is_some());
/// assert!(live.state().last_error.is_some_and(|error| error.contains("mine.json")));
///
/// // At the start it is an error.
/// assert!(LiveBook::builder().overrides(&path).build().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LiveBook {
    files: Files,
    every: Option<Duration>,
    on_error: Option<OnError>,
    started: Instant,
    /// When the files are looked at next, in nanoseconds since `started`.
    next_look: AtomicU64,
    /// Locked for as long as it takes to put another book in its place.
    in_force: RwLock<BookRef>,
    /// Locked while the files are read. Who only wants the book does not wait for it.
    watch: Mutex<Watch>,
}

type OnError = Box<dyn Fn(&ReadBookError) + Send + Sync>;

/// A price book in force: the embedded one, or one that is shared. It stays as it is while its [`LiveBook`] goes on.
///
/// ```
/// use taximeter_pricing::{BookRef, PriceBook};
///
/// let (embedded, empty) = (BookRef::default(), BookRef::from(PriceBook::default()));
/// assert!(embedded.find(Some("openai"), "gpt-4o").is_some());
/// assert!(empty.find(Some("openai"), "gpt-4o").is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct BookRef(Option<Arc<PriceBook>>);

/// What became of the files of a [`LiveBook`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveState {
    /// The file that replaces the embedded book, if there is one.
    pub book: Option<PathBuf>,
    /// The file with prices of one's own, if there is one.
    pub overrides: Option<PathBuf>,
    /// The day of which the prices in force are; none if their book does not say.
    pub as_of: Option<NaiveDate>,
    /// When the files were last read without an error; none if they never were.
    pub loaded_at: Option<DateTime<Utc>>,
    /// How often the files could not be read.
    pub failures: u64,
    /// Why the files could not be read when they were last tried; none if all is well.
    pub last_error: Option<String>,
}

/// Builds a [`LiveBook`].
#[must_use = "the book is there after `build()`"]
pub struct LiveBookBuilder {
    files: Files,
    every: Option<Duration>,
    on_error: Option<OnError>,
}

impl LiveBookBuilder {
    /// The book that holds without files. Default: the embedded one.
    pub fn base(mut self, base: impl Into<BookRef>) -> Self {
        self.files.base = base.into();
        self
    }

    /// A file with a whole book that replaces the base, in TOML or JSON. Default: none.
    pub fn book(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.book = Some(path.into());
        self
    }

    /// A file with prices of one's own that lie over the book, in TOML or JSON. Default: none.
    pub fn overrides(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.overrides = Some(path.into());
        self
    }

    /// How long the files are not looked at again; none for ever. Default: five seconds.
    pub fn every(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.every = every.into();
        self
    }

    /// What is done about a file that cannot be read any more, once for each change of it: a line in a log. Errors that
    /// [`build`](Self::build) and [`LiveBook::reload`] give back are not among them. Default: nothing.
    pub fn on_error(mut self, then: impl Fn(&ReadBookError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Box::new(then));
        self
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Where a file cannot be read or is no price book.
    pub fn build(self) -> Result<LiveBook, ReadBookError> {
        let live = self.unread();
        live.reload()?;
        Ok(live)
    }

    /// Reads the files, and holds to the base until they can be read. Their error goes to
    /// [`on_error`](Self::on_error).
    ///
    /// ```
    /// use taximeter_pricing::LiveBook;
    ///
    /// let live = LiveBook::builder().book("missing.json").build_anyway();
    /// assert!(live.book().find(Some("openai"), "gpt-4o").is_some());
    /// assert!(live.state().last_error.is_some_and(|error| error.contains("missing.json")));
    /// ```
    pub fn build_anyway(self) -> LiveBook {
        let live = self.unread();
        live.look();
        live
    }

    fn unread(self) -> LiveBook {
        LiveBook {
            next_look: AtomicU64::new(self.every.map_or(0, nanoseconds)),
            started: Instant::now(),
            in_force: RwLock::new(self.files.base.clone()),
            watch: Mutex::default(),
            files: self.files,
            every: self.every,
            on_error: self.on_error,
        }
    }
}

impl LiveBook {
    /// Starts to build one. Without files it is the embedded book and stays so.
    pub fn builder() -> LiveBookBuilder {
        let every = Some(Duration::from_secs(5));
        LiveBookBuilder { files: Files::default(), every, on_error: None }
    }

    /// The book in force. Where it is time to, this looks at the files first; whoever asks meanwhile does not wait and
    /// gets the book from before.
    pub fn book(&self) -> BookRef {
        if self.is_due() {
            self.look();
        }
        self.in_force()
    }

    /// The book in force, without a look at the files.
    pub fn in_force(&self) -> BookRef {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files now, whether they have changed or not, and gives the book that is in force from here on.
    ///
    /// # Errors
    /// Where a file cannot be read or is no price book; the book from before stays in force.
    pub fn reload(&self) -> Result<BookRef, ReadBookError> {
        let mut watch = self.watch();
        self.read(&mut watch).map_err(|Failed { error, .. }| error)
    }

    /// The files, when they were read, and what is wrong with them.
    pub fn state(&self) -> LiveState {
        let watch = self.watch();
        LiveState {
            book: self.files.book.clone(),
            overrides: self.files.overrides.clone(),
            as_of: self.in_force().as_of(),
            loaded_at: watch.loaded_at,
            failures: watch.failures,
            last_error: watch.last_error.clone(),
        }
    }

    /// Why the files could not be read when they were last tried; none if all is well.
    pub fn last_error(&self) -> Option<String> {
        self.watch().last_error.clone()
    }

    /// Whether it is time to look at the files. Of all who ask at that time, one is told so.
    fn is_due(&self) -> bool {
        let Some(every) = self.every.filter(|_| !self.files.is_empty()) else { return false };
        let now = nanoseconds(self.started.elapsed());
        let due = self.next_look.load(Ordering::Relaxed);
        let next = now.saturating_add(nanoseconds(every));
        now >= due
            && self
                .next_look
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Reads the files if they have changed.
    fn look(&self) {
        let mut watch = match self.watch.try_lock() {
            Ok(watch) => watch,
            Err(TryLockError::Poisoned(watch)) => watch.into_inner(),
            // Somebody is reading them just now.
            Err(TryLockError::WouldBlock) => return,
        };
        if watch.knows(&self.files.stamps()) {
            return;
        }
        let read = self.read(&mut watch);
        // What is done about an error may ask for the state, and need the lock for that.
        drop(watch);
        if let (Err(Failed { error, is_new: true }), Some(then)) = (read, &self.on_error) {
            then(&error);
        }
    }

    fn read(&self, watch: &mut Watch) -> Result<BookRef, Failed> {
        // They are taken before the files are read, so that what is written meanwhile is seen at the next look.
        let stamps = self.files.stamps();
        match self.files.read() {
            Ok(book) => {
                self.put_in_force(book.clone());
                watch.succeeded(stamps, !self.files.is_empty());
                Ok(book)
            }
            Err(error) => Err(Failed { is_new: watch.failed(stamps, &error), error }),
        }
    }

    fn put_in_force(&self, book: BookRef) {
        let mut place = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, book);
        // Nobody waits while the old book is freed.
        drop(place);
        drop(old);
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LiveBook {
    /// The embedded book, and no files.
    fn default() -> Self {
        Self::builder().unread()
    }
}

struct Failed {
    error: ReadBookError,
    /// Whether it was not there before.
    is_new: bool,
}

/// What a book is made of.
#[derive(Debug, Default)]
struct Files {
    base: BookRef,
    book: Option<PathBuf>,
    overrides: Option<PathBuf>,
}

impl Files {
    fn is_empty(&self) -> bool {
        self.book.is_none() && self.overrides.is_none()
    }

    fn read(&self) -> Result<BookRef, ReadBookError> {
        let book = match &self.book {
            Some(path) => PriceBook::from_file(path)?.into(),
            None => self.base.clone(),
        };
        match &self.overrides {
            Some(path) => Ok(book.with_overrides(PriceBook::from_file(path)?).into()),
            None => Ok(book),
        }
    }

    fn stamps(&self) -> Stamps {
        let stamp = |path: &Option<PathBuf>| path.as_deref().and_then(Stamp::of);
        [stamp(&self.book), stamp(&self.overrides)]
    }
}

/// By what a change of a file is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// Of the book and of the overrides; none where there is no file.
type Stamps = [Option<Stamp>; 2];

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self { modified: about.modified().ok(), length: about.len() })
    }

    /// Whether a later change would show. The clocks of file systems tick coarsely, by up to two seconds, and what is
    /// written twice within a tick looks like one change.
    fn is_settled(&self, now: SystemTime) -> bool {
        const TICK: Duration = Duration::from_secs(2);
        self.modified.is_some_and(|modified| {
            let apart = now.duration_since(modified).unwrap_or_else(|ahead| ahead.duration());
            apart > TICK
        })
    }
}

/// What is known of the files.
#[derive(Debug, Default)]
struct Watch {
    stamps: Stamps,
    /// Whether a change after the last reading would show in the stamps.
    settled: bool,
    loaded_at: Option<DateTime<Utc>>,
    failures: u64,
    last_error: Option<String>,
}

impl Watch {
    /// Whether these files have been read as they are.
    fn knows(&self, stamps: &Stamps) -> bool {
        self.settled && self.last_error.is_none() && self.stamps == *stamps
    }

    fn succeeded(&mut self, stamps: Stamps, loaded: bool) {
        self.saw(stamps);
        self.last_error = None;
        self.loaded_at = loaded.then(Utc::now);
    }

    /// Keeps the error, and says whether it is another one than before, or of other files.
    fn failed(&mut self, stamps: Stamps, error: &ReadBookError) -> bool {
        let text = error.to_string();
        let is_new = self.last_error.as_ref() != Some(&text) || self.stamps != stamps;
        self.saw(stamps);
        self.failures += 1;
        self.last_error = Some(text);
        is_new
    }

    fn saw(&mut self, stamps: Stamps) {
        let now = SystemTime::now();
        self.settled = stamps.iter().flatten().all(|stamp| stamp.is_settled(now));
        self.stamps = stamps;
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Deref for BookRef {
    type Target = PriceBook;

    fn deref(&self) -> &PriceBook {
        // The embedded book is decoded when it is first asked, and not before.
        self.0.as_deref().unwrap_or_else(|| PriceBook::embedded())
    }
}

impl From<PriceBook> for BookRef {
    fn from(book: PriceBook) -> Self {
        Self(Some(Arc::new(book)))
    }
}

impl From<Arc<PriceBook>> for BookRef {
    fn from(book: Arc<PriceBook>) -> Self {
        Self(Some(book))
    }
}

impl fmt::Debug for LiveBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Files { book, overrides, .. } = &self.files;
        f.debug_struct("LiveBook")
            .field("book", book)
            .field("overrides", overrides)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LiveBookBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBookBuilder").field("files", &self.files).finish_non_exhaustive()
    }
}
