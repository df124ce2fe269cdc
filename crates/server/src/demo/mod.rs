//! A demo: the operations of a RAG application, played into a store of its own in memory, so that a newcomer sees the page
//! alive. Nothing of it comes near a store of somebody's own.
//!
//! A browser that asked for the demo is known by a cookie and is shown the demo's pages; all others see what is stored.

mod script;
mod stage;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use http::header::{COOKIE, SET_COOKIE};
use taximeter::history::{History, Windows};
use taximeter::store::MemoryStore;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::Config;
use crate::alerts::Watch;
use crate::questions::Questions;

/// How a server is concerned with the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Demo {
    /// It shows what is stored.
    #[default]
    Off,
    /// It shows the demo to those that asked for it.
    Asked,
    /// It shows nothing else.
    Only,
}

/// The history in a new store in memory.
pub(crate) fn history() -> History {
    History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))))
}

/// Begins to play, for as long as the questions are there.
pub(crate) fn play(questions: &Arc<Questions>) {
    stage::play(questions);
}

/// The pages of the demo, made when they are first asked for.
struct Aside {
    config: Config,
    pages: OnceLock<Router>,
    made: fn(Arc<Questions>) -> Router,
}

impl Aside {
    fn pages(&self) -> &Router {
        self.pages.get_or_init(|| {
            let mut config = self.config.clone();
            (config.history, config.sqlite, config.demo) = (history(), None, Demo::Asked);
            let (changed, idle) = (watch::channel(0).0, Watch::idle(config.history.clone()));
            let questions = Questions::new(&config, changed, None, None, idle);
            play(&questions);
            (self.made)(questions)
        })
    }
}

/// The same routes, with the demo beside them.
pub(crate) fn beside(
    routes: Router,
    config: &Config,
    made: fn(Arc<Questions>) -> Router,
) -> Router {
    if config.demo == Demo::Only {
        return routes;
    }
    let aside = Arc::new(Aside { config: config.clone(), pages: OnceLock::new(), made });
    routes
        .route("/demo", post(begin))
        .route("/demo/end", post(end))
        .layer(middleware::from_fn_with_state(aside, switch))
}

const NAME: &str = "taximeter_demo";

async fn begin() -> Response {
    let cookie = format!("{NAME}=1; Path=/; HttpOnly; SameSite=Strict");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn end() -> Response {
    let cookie = format!("{NAME}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// Shows the demo to who has its cookie. It is begun by a form alone, so that no address by itself makes work.
async fn switch(State(aside): State<Arc<Aside>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/demo") {
        if request.uri().path() == "/demo" && request.method() == http::Method::POST {
            aside.pages();
        }
        return next.run(request).await;
    }
    let has_cookie = request.headers().get_all(COOKIE).iter().any(|cookies| {
        let mut all = cookies.to_str().unwrap_or_default().split(';');
        all.any(|cookie| cookie.trim() == "taximeter_demo=1")
    });
    match aside.pages.get().filter(|_| has_cookie) {
        // A router fails in no way of its own.
        Some(pages) => pages.clone().oneshot(request).await.unwrap_or_else(|never| match never {}),
        None => next.run(request).await,
    }
}
