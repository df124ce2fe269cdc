//! How a letter goes out: one request, and what came of it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use ureq::Agent;

use crate::event::{Event, Status};
use crate::receiver::{Receiver, ReceiverKind};
use crate::sign;

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was taken.
    Taken,
    /// It may be taken later; not before so long a time, if the receiver said so.
    Later(Option<Duration>, String),
    /// It will never be taken.
    Refused(String),
}

/// The most bytes of an answer that are read: they are to be shown.
const ANSWER: u64 = 4 << 10;
/// For so long an Alertmanager takes an alert for one that fires, unless it is told again.
pub(crate) const HOLDS: TimeDelta = TimeDelta::minutes(5);

/// Connections that are kept for the next request.
pub(crate) struct Client(Agent);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("taximeter/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(Agent::new_with_config(config))
    }

    /// Tells an event.
    pub(crate) fn tell(&self, receiver: &Receiver, event: &Event, now: DateTime<Utc>) -> Came {
        match receiver.kind {
            ReceiverKind::Webhook => self.post(receiver, receiver.url.show(), event, now),
            ReceiverKind::Slack => self.send(receiver, receiver.url.show(), &slack(event), &[]),
            ReceiverKind::Alertmanager => self.alert(receiver, &[event], now),
        }
    }

    /// Tells an Alertmanager what fires, and what is over.
    pub(crate) fn alert(&self, receiver: &Receiver, events: &[&Event], now: DateTime<Utc>) -> Came {
        let url = format!("{}/api/v2/alerts", receiver.url.show().trim_end_matches('/'));
        let alerts: Vec<_> = events.iter().map(|event| alertmanager(event, now)).collect();
        self.send(receiver, &url, &Value::from(alerts), &[])
    }

    fn post(&self, receiver: &Receiver, url: &str, event: &Event, now: DateTime<Utc>) -> Came {
        let body = serde_json::to_value(event).unwrap_or_default();
        let mut headers = vec![
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", now.timestamp().to_string()),
            ("idempotency-key", event.id.clone()),
        ];
        if let Some(key) = &receiver.signed {
            let text = body.to_string();
            let signature = sign::signature(key, &event.id, now.timestamp(), text.as_bytes());
            headers.push(("webhook-signature", signature));
        }
        self.send(receiver, url, &body, &headers)
    }

    fn send(
        &self,
        receiver: &Receiver,
        url: &str,
        body: &Value,
        headers: &[(&str, String)],
    ) -> Came {
        let mut request = self.0.post(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &receiver.token {
            request = request.header("authorization", format!("Bearer {}", token.show()));
        }
        let request = request.config().timeout_global(Some(receiver.timeout)).build();
        match request.send(body.to_string()) {
            Ok(mut answer) => {
                let after = answer.headers().get("retry-after").and_then(|a| a.to_str().ok());
                let after = after.and_then(|after| read_after(after, Utc::now()));
                let status = answer.status().as_u16();
                if (200..300).contains(&status) {
                    return Came::Taken;
                }
                let said = answer.body_mut().with_config().limit(ANSWER).read_to_string();
                let said = said.unwrap_or_default();
                let said = format!("{status} {}", shown(&said)).trim_end().to_owned();
                match status {
                    408 | 425 | 429 | 500..=599 => Came::Later(after, said),
                    _ => Came::Refused(said),
                }
            }
            Err(error) => failed(&error),
        }
    }
}

/// What a text says, without what it may do to who sees it.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(200).collect()
}

/// Whether an error may be gone at the next try. The address may be a key, and so no error says it.
fn failed(error: &ureq::Error) -> Came {
    use ureq::Error;
    match error {
        Error::BadUri(_) => Came::Refused("the address is none".into()),
        Error::Http(_) => Came::Refused("no request can be made of it".into()),
        Error::RequireHttpsOnly(_) | Error::TlsRequired | Error::InvalidProxyUrl => {
            Came::Refused("the address cannot be reached as it is set".into())
        }
        Error::Io(error) => Came::Later(None, shown(&error.to_string())),
        Error::Timeout(_) => Came::Later(None, "it took too long".into()),
        Error::HostNotFound => Came::Later(None, "the host is not found".into()),
        Error::ConnectionFailed => Came::Later(None, "no connection could be made".into()),
        _ => Came::Later(None, "the connection failed".into()),
    }
}

/// The value of `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn read_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

/// A message as Slack's incoming webhooks take it. Names come from anywhere, and none of them is to be a link or a call.
fn slack(event: &Event) -> Value {
    let word = match event.status {
        Status::Firing => "Firing",
        Status::Resolved => "Resolved",
    };
    let title = escaped(&format!("{word}: {} [{}]", event.title(), event.severity));
    let (text, look) = (escaped(&event.text), escaped(&event.look.replace('`', "'")));
    let since = event.since.format("%F %H:%M UTC");
    json!({
        "text": format!("{title}: {text}"),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("*{title}*\n{text}") } },
            { "type": "context", "elements": [
                { "type": "mrkdwn", "text": format!("since {since} · `{look}`") },
            ] },
        ],
    })
}

/// The three characters that Slack reads, as it wants them, and no more of them than it takes.
fn escaped(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('*', "∗")
}

/// An alert of version 2 of the API of Alertmanager.
fn alertmanager(event: &Event, now: DateTime<Utc>) -> Value {
    let mut labels = serde_json::Map::new();
    for (name, value) in &event.labels {
        labels.insert(label(name), Value::from(value.as_str()));
    }
    if let Some(key) = &event.key {
        labels.insert(label(&event.by), Value::from(&**key));
    }
    labels.insert("alertname".into(), Value::from(&*event.rule));
    labels.insert("severity".into(), Value::from(event.severity.to_string()));
    // An alert that fires is told again before this; then nobody is left to tell it.
    let ends = event.resolved_at.unwrap_or(now + HOLDS);
    json!({
        "labels": labels,
        "annotations": { "summary": event.title(), "description": event.text, "look": event.look },
        "startsAt": event.fired_at.to_rfc3339(),
        "endsAt": ends.to_rfc3339(),
    })
}

/// A name as Prometheus has them: letters, digits and underscores.
fn label(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let label: String = name.chars().map(plain).collect();
    if label.starts_with(|c: char| c.is_ascii_digit()) { format!("_{label}") } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_told_in_seconds_or_as_a_date() {
        let now = DateTime::from_timestamp(1_445_412_450, 0).unwrap();
        assert_eq!(read_after("120", now), Some(Duration::from_mins(2)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(read_after(date, now), Some(Duration::from_secs(30)));
        assert_eq!((read_after("soon", now), read_after("-1", now)), (None, None));
    }

    #[test]
    fn no_name_is_a_link_or_a_call_in_slack() {
        let mut event = Event::test(DateTime::from_timestamp(0, 0).unwrap());
        event.key = Some("<!channel> <https://evil.example|x> `a` *b*".into());
        event.look = "a `b`".into();
        let message = slack(&event).to_string();
        assert!(!message.contains('<') && !message.contains("`b`"), "{message}");
        assert!(message.contains("&lt;!channel&gt;"));
    }

    #[test]
    fn labels_are_names_of_prometheus() {
        assert_eq!(label("tag:team"), "tag_team");
        assert_eq!((label("9a"), label("llm")), ("_9a".to_owned(), "llm".to_owned()));
    }
}
