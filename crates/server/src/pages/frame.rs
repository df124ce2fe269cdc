//! What stands around every page: where one is, where one can go, and of what the page is.

use maud::{DOCTYPE, Markup, html};

use super::words::link;
use crate::questions::{Filter, PERIOD, QuestionError};

/// The pages that stand in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Operations,
    Costs,
    Trends,
    Advice,
    Health,
}

impl Page {
    const ALL: [Self; 6] =
        [Self::Overview, Self::Operations, Self::Costs, Self::Trends, Self::Advice, Self::Health];

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Operations => "Operations",
            Self::Costs => "Costs",
            Self::Trends => "Trends",
            Self::Advice => "Advice",
            Self::Health => "Data health",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Operations => "/operations",
            Self::Costs => "/costs",
            Self::Trends => "/trends",
            Self::Advice => "/advice",
            Self::Health => "/health",
        }
    }
}

/// The frame of a page.
pub(super) struct Frame<'a> {
    page: Page,
    filter: &'a Filter,
}

/// Periods that are one click away.
const PERIODS: [&str; 5] = ["15m", "1h", "24h", "7d", "30d"];

impl<'a> Frame<'a> {
    pub(super) fn new(page: Page, filter: &'a Filter) -> Self {
        Self { page, filter }
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
                    }
                    (self.bar())
                    main #content tabindex="-1" { (content) }
                    footer {
                        p { "All times are UTC; money is US dollars. A plus means: at least, for some calls have no price." }
                    }
                }
            }
        }
    }

    fn to(&self, page: Page) -> Markup {
        let current = (page == self.page).then_some("page");
        html! { a href=(link(page.path(), self.filter, &[])) aria-current=[current] { (page.title()) } }
    }

    fn bar(&self) -> Markup {
        let since = if self.filter.since.is_empty() { PERIOD } else { &self.filter.since };
        html! {
            form.bar method="get" action=(self.page.path()) aria-label="What this page is of" {
                div.periods role="group" aria-label="Period" {
                    @for period in PERIODS {
                        a href=(link(self.page.path(), self.filter, &[("since", period)]))
                            aria-current=[(period == since).then_some("true")] { (period) }
                    }
                }
                label { "Period " input name="since" value=(since) size="14"; }
                label {
                    "Only "
                    input name="only" value=(self.filter.only) size="28"
                        placeholder="llm=openai/gpt-4o,user=ann";
                }
                @if !self.filter.by.is_empty() { input type="hidden" name="by" value=(self.filter.by); }
                button { "Show" }
                label.live { input type="checkbox" #live; " Live" }
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
