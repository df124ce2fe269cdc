//! Who may ask: the names of the server, its token, and the headers that every answer bears.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::uri::Authority;
use http::{Method, StatusCode};
use subtle::ConstantTimeEq;

use crate::Config;
use crate::api::Problem;

/// What is asked of every request.
pub(crate) struct Guard {
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
    token: Option<String>,
}

/// Nothing is loaded from elsewhere, no script stands in a page, and no other page shows ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

impl Guard {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        let mut hosts = vec!["localhost".to_owned()];
        hosts.extend(config.hosts.iter().map(|host| host.to_ascii_lowercase()));
        let addresses = config.otlp.iter().chain([&config.page]).map(std::net::SocketAddr::ip);
        let addresses = addresses.filter(|address| !address.is_unspecified()).collect();
        Arc::new(Self { hosts, addresses, token: config.token.clone() })
    }

    /// Whether a name is one of this server's: a page of another name that leads here does so to read what is here.
    fn is_own(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || self.addresses.contains(&address),
            Err(_) => self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)),
        }
    }

    /// Whether a page of this server sent it, or no page at all.
    fn is_from_here(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let origin = origin.to_str().unwrap_or_default();
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|authority| self.is_own(authority))
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let Some(told) = headers.get(AUTHORIZATION).and_then(|told| told.to_str().ok()) else {
            return false;
        };
        let told = match told.split_once(' ') {
            Some((scheme, told)) if scheme.eq_ignore_ascii_case("bearer") => {
                told.as_bytes().to_vec()
            }
            Some((scheme, told)) if scheme.eq_ignore_ascii_case("basic") => {
                let decoded = BASE64_STANDARD.decode(told.trim()).unwrap_or_default();
                // A browser asks for a name too, and it may be any.
                let password = decoded.iter().position(|byte| *byte == b':').map(|at| at + 1);
                decoded[password.unwrap_or(decoded.len())..].to_vec()
            }
            _ => return false,
        };
        bool::from(told.ct_eq(token.as_bytes()))
    }
}

/// Refuses what is not for this server or not allowed, and puts the headers on what goes out.
pub(crate) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match refused(&guard, &request) {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Without it a browser would not say that a form is of this page, and it could not be told from another's.
    set(REFERRER_POLICY, "same-origin");
    set(CACHE_CONTROL, "no-store");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    response
}

fn refused(guard: &Guard, request: &Request) -> Option<Response> {
    // Who asks the API is told as the API tells.
    let is_api = request.uri().path().starts_with("/api/");
    let told = |status: StatusCode, text: &'static str| {
        if is_api {
            Problem::new(status, text).into_response()
        } else {
            (status, text).into_response()
        }
    };
    let plain = |status, text| Some(told(status, text));
    // Over HTTP/2 the name is in the request's address; over HTTP/1 in a header, and a client may send both.
    let named = request.uri().authority().map(Authority::as_str);
    let hosts =
        request.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let mut names = 0;
    for name in named.into_iter().chain(hosts) {
        names += 1;
        if !guard.is_own(name) {
            return plain(
                StatusCode::FORBIDDEN,
                "this server is not known by that name; start it with --host NAME if it shall be",
            );
        }
    }
    if names == 0 {
        return plain(StatusCode::BAD_REQUEST, "the request names no host");
    }
    if !guard.is_from_here(request.headers()) {
        return plain(StatusCode::FORBIDDEN, "pages of other servers may not ask this one");
    }
    if !guard.is_authorized(request.headers()) {
        let realm = [(WWW_AUTHENTICATE, "Basic realm=\"taximeter: the token is the password\"")];
        let text = "a token is needed: Authorization: Bearer …";
        return Some((realm, told(StatusCode::UNAUTHORIZED, text)).into_response());
    }
    let is_known = [Method::GET, Method::HEAD, Method::POST].contains(request.method());
    if !is_known {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET, HEAD and POST are understood");
    }
    None
}
