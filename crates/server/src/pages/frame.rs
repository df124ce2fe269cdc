//! What stands around every page: where one is, where one can go, and of what the page is.

use chrono::Utc;
use maud::{DOCTYPE, Markup, html};
use taximeter::history::LookedAt;
use taximeter::report::counted;

use super::bar::bar;
use super::words::link;
use crate::demo::Demo;
use crate::questions::{Filter, QuestionError, Questions};

/// The pages that stand in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Overview,
    Operations,
    Sessions,
    Tools,
    Llms,
    Costs,
    Trends,
    Advice,
    Metrics,
    Alerts,
    Health,
    Prices,
    /// It is led to by the box in the header.
    Search,
}

impl Page {
    const ALL: [Self; 12] = [
        Self::Overview,
        Self::Operations,
        Self::Sessions,
        Self::Tools,
        Self::Llms,
        Self::Costs,
        Self::Trends,
        Self::Advice,
        Self::Metrics,
        Self::Alerts,
        Self::Health,
        Self::Prices,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Operations => "Operations",
            Self::Sessions => "Sessions",
            Self::Tools => "Tools",
            Self::Llms => "LLMs",
            Self::Costs => "Costs",
            Self::Trends => "Trends",
            Self::Advice => "Advice",
            Self::Metrics => "Metrics",
            Self::Alerts => "Alerts",
            Self::Health => "Data health",
            Self::Prices => "Prices",
            Self::Search => "Search",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Operations => "/operations",
            Self::Sessions => "/sessions",
            Self::Tools => "/tools",
            Self::Llms => "/llms",
            Self::Costs => "/costs",
            Self::Trends => "/trends",
            Self::Advice => "/advice",
            Self::Metrics => "/own-metrics",
            Self::Alerts => "/alerts",
            Self::Health => "/health",
            Self::Prices => "/prices",
            Self::Search => "/search",
        }
    }
}

/// The frame of a page.
pub(super) struct Frame<'a> {
    page: Page,
    filter: &'a Filter,
    demo: Demo,
    /// One operation is of no period.
    has_bar: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn new(page: Page, filter: &'a Filter, questions: &Questions) -> Self {
        Self { page, filter, demo: questions.demo, has_bar: true }
    }

    pub(super) fn without_bar(self) -> Self {
        Self { has_bar: false, ..self }
    }

    pub(super) fn around(&self, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.page.title()) " · taximeter" }
                    // The library of charts puts its rules into the sheet of this id: a sheet of its own would be inline.
                    link rel="stylesheet" href="/assets/page.css" id="plotly.js-style-global";
                    link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                    script src="/assets/plotly.js" defer {}
                    script src="/assets/page.js" defer {}
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header {
                        a.brand href="/" { "taximeter" }
                        nav aria-label="Pages" { ul { @for page in Page::ALL { li { (self.to(page)) } } } }
                        (self.search())
                    }
                    (played(self.demo))
                    @if self.has_bar { (bar(self.page.path(), self.filter, Utc::now())) }
                    main #content tabindex="-1" { (content) }
                    footer {
                        p { "All times are UTC; money is US dollars. A plus means: at least, for some calls have no price." }
                    }
                }
            }
        }
    }

    /// One box for whatever is looked for, in the period of the page.
    fn search(&self) -> Markup {
        html! {
            form.search role="search" method="get" action="/search" {
                input type="search" name="q" value=(self.filter.q) required maxlength="200" aria-label="Search an id, trace, name, user, session or error"
                    placeholder="Id, name, user, error …";
                @if !self.filter.since.is_empty() { input type="hidden" name="since" value=(self.filter.since); }
                button { "Search" }
            }
        }
    }

    fn to(&self, page: Page) -> Markup {
        let current = (page == self.page).then_some("page");
        html! { a href=(link(page.path(), self.filter, &[])) aria-current=[current] { (page.title()) } }
    }
}

/// That what is seen was played.
fn played(demo: Demo) -> Markup {
    html! {
        @if demo != Demo::Off {
            section.demo aria-label="Demo" {
                p {
                    strong { "Demo data." } " A RAG application is being played, by a real meter, into a store in memory; nothing of it is kept, "
                    "and nothing of yours is here."
                }
                @if demo == Demo::Asked { form method="post" action="/demo/end" { button { "End the demo" } } }
            }
        }
    }
}

/// Why there is no page.
pub(super) fn wrong(error: &QuestionError) -> Markup {
    html! {
        section.card role="alert" {
            h1 { "This cannot be shown" }
            p { (error) }
        }
    }
}

/// What is missing, and the line that mends it.
pub(super) fn missing(what: &str, line: &str) -> Markup {
    html! {
        div.missing {
            p { "Nothing to show: " (what) ". This line mends it:" }
            pre tabindex="0" { code { (line) } }
        }
    }
}

/// A table that may be wider or longer than there is room: it is moved by keys too, and says what it is.
pub(super) fn scroll(label: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// That nothing is known of any operation, and how to change that; where telemetry is taken, if anywhere.
pub(super) fn no_operation(endpoint: Option<&str>) -> Markup {
    html! {
        (missing("no operation was recorded in this period, or none that fulfils the conditions",
            "let op = taximeter::operation(\"qa_response\").start();"))
        @match endpoint {
            Some(endpoint) => p { "Or send OTLP, from any language: " code { "OTEL_EXPORTER_OTLP_ENDPOINT=" (endpoint) } },
            None => p { "This server takes no telemetry: it shows what is stored." },
        }
    }
}

/// A heading, with the links by which what stands below it can be taken away.
pub(super) fn heading(title: &str, exports: &[(&str, String)]) -> Markup {
    html! {
        div.heading {
            h2 { (title) }
            @if !exports.is_empty() {
                span.exports { @for (kind, address) in exports { a href=(address) download aria-label=(format!("{title} as {kind}")) { (kind) } } }
            }
        }
    }
}

/// The same numbers of the API, told apart by something: as CSV and as JSON.
pub(super) fn groups(filter: &Filter, by: &str) -> [(&'static str, String); 2] {
    let to = |format: &str| {
        link(
            "/api/v1/groups",
            filter,
            &[("by", by), ("format", format), ("live", ""), ("compare", ""), ("order", "")],
        )
    };
    [("CSV", to("csv")), ("JSON", to(""))]
}

/// What an answer looked at, where that is not all.
pub(super) fn looked(at: Option<LookedAt>) -> Markup {
    html! {
        @if let Some(at) = at {
            p.note {
                "Of " (at)
                @if at.damaged > 0 { "; " (counted(at.damaged, "record")) " could not be read" }
            }
        }
    }
}
