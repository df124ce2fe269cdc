//! What the page loads besides itself: a style, a script, and the library that draws charts. All of it is in the program.

mod library;

use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use plotly::Plot;

const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Has a browser of the Chromium family compile all of a script beside the page, while it is shown, and not piece by piece
/// when it is run: <https://v8.dev/blog/explicit-compile-hints>. To the others it is a comment.
const COMPILE_AHEAD: &str = "//# allFunctionsCalledOnLoad\n";

/// The kinds of charts on our pages, besides lines and points, which are always there. What draws another one says so here.
const KINDS: [&str; 1] = ["bar"];

/// plotly.js out of the crate that brings it, which gives it as an element of a page.
static PLOTLY: LazyLock<String> = LazyLock::new(|| {
    let element = Plot::offline_js_sources();
    let largest = element.split("</script>").max_by_key(|script| script.len());
    let script = largest.and_then(|script| script.split_once("<script").map(|(_, rest)| rest));
    let script = script.and_then(|script| script.split_once('>').map(|(_, rest)| rest));
    [COMPILE_AHEAD, &library::only(&KINDS, script.unwrap_or_default())].concat()
});

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/assets/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/assets/icon.svg", get(async || asset("image/svg+xml", ICON)))
        .route("/assets/page.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/assets/plotly.js", get(async || asset("text/javascript; charset=utf-8", &PLOTLY)))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "private, max-age=3600")];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_of_charts_is_there_without_the_kinds_that_no_page_draws() {
        assert!((900_000..1_300_000).contains(&PLOTLY.len()), "{} bytes", PLOTLY.len());
        assert!(PLOTLY.contains("Plotly, Inc.") && PLOTLY.contains("Bundled license information"));
        assert!(!PLOTLY.contains("<script"));
    }
}
