//! Live: an event whenever something was stored.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;

use crate::questions::Questions;

/// So often at most an event is sent.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn events(
    State(questions): State<Arc<Questions>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changed = questions.changed.subscribe();
    let events = stream::unfold(changed, |mut changed: watch::Receiver<u64>| async move {
        changed.changed().await.ok()?;
        tokio::time::sleep(PAUSE).await;
        let times = *changed.borrow_and_update();
        Some((Ok(Event::default().event("stored").data(times.to_string())), changed))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
