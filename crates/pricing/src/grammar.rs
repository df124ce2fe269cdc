//! How providers build the names of their LLMs: the other ways in which a name may be read.
//!
//! Each way is looked up exactly; the first that is in the book is meant. Where a provider bills something else under
//! a longer name (a deployment of one's own, a free variant), the longer name is never read as the shorter one.

use chrono::NaiveDate;

use crate::{Grammar, Provider};

/// Looks a reading up, with the region that was taken off the name, and says what it led to.
pub(crate) type Seek<'s, 'n, T> = dyn FnMut(&str, Option<&'n str>) -> Option<T> + 's;

/// Reads a folded name in every other way of its provider, the most specific first, until one leads somewhere.
pub(crate) fn read<'n, T>(
    provider: &Provider,
    name: &'n str,
    seek: &mut Seek<'_, 'n, T>,
) -> Option<T> {
    let inner = without_provider(provider, name);
    if let Some(found) = inner.and_then(|inner| seek(inner, None)) {
        return Some(found);
    }
    let name = inner.unwrap_or(name);
    match provider.grammar {
        Grammar::Plain => None,
        Grammar::OpenAi => seek(fine_tuned_base(name)?, None),
        Grammar::Gemini => seek(name.strip_prefix("models/")?, None),
        Grammar::Bedrock => bedrock(name, seek),
        Grammar::Vertex => vertex(name, seek),
        Grammar::Azure => azure(name, seek),
        Grammar::OpenRouter => open_router(name, seek),
        Grammar::Fireworks => fireworks(name, seek),
    }
}

/// What stands behind one of the provider's own names and a slash.
pub(crate) fn without_provider<'n>(provider: &Provider, name: &'n str) -> Option<&'n str> {
    let (head, rest) = name.split_once('/')?;
    provider.names().any(|known| known.eq_ignore_ascii_case(head)).then_some(rest)
}

/// `ft:base` of `ft:base:organisation:name:id`: a fine-tuned LLM has the price of all those with the same base.
fn fine_tuned_base(name: &str) -> Option<&str> {
    let after = name.strip_prefix("ft:")?;
    let base = after.find(':')?;
    Some(&name[.."ft:".len() + base])
}

/// The APIs that LiteLLM lets one choose by a word before the name.
const BEDROCK_ROUTES: [&str; 2] = ["converse/", "invoke/"];
/// What stands before the dot in the id of an inference profile.
const GEOGRAPHIES: [&str; 9] = ["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca", "in"];

fn bedrock<'n, T>(name: &'n str, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    let (region, id) = bedrock_region(name)?;
    if let Some(found) = bedrock_at(region, id, seek) {
        return Some(found);
    }
    let (geography, rest) = id.split_once('.').filter(|(head, _)| GEOGRAPHIES.contains(head))?;
    // A profile is billed at the price of the region that is called, but the global one has a price of its own.
    let region = region.filter(|_| geography != "global").unwrap_or(geography);
    bedrock_at(Some(region), rest, seek)
}

/// An id in a region: as `region/id`, under which tables list prices, then without the region.
fn bedrock_at<'n, T>(region: Option<&'n str>, id: &str, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    let regional = region.filter(|region| is_aws_region(region));
    let listed = regional.and_then(|region| seek(&format!("{region}/{id}"), None));
    listed.or_else(|| bedrock_id(id, region, seek))
}

/// The region that a name says, and the id. An ARN of something of one's own (a provisioned or imported LLM, an
/// application's profile) does not say which LLM it is.
fn bedrock_region(name: &str) -> Option<(Option<&str>, &str)> {
    let name = BEDROCK_ROUTES.iter().find_map(|route| name.strip_prefix(route)).unwrap_or(name);
    if name.starts_with("arn:") {
        return arn(name);
    }
    Some(match name.split_once('/') {
        Some((head, rest)) if is_aws_region(head) => (Some(head), rest),
        _ => (None, name),
    })
}

/// Region and id of `arn:aws:bedrock:region:account:foundation-model/id`, or of a profile that AWS defined.
fn arn(name: &str) -> Option<(Option<&str>, &str)> {
    let mut parts = name.splitn(6, ':').skip(1);
    let partition = parts.next()?;
    let is_aws = partition == "aws" || partition.starts_with("aws-");
    let is_bedrock = parts.next()? == "bedrock";
    let region = parts.next()?;
    let (kind, id) = parts.nth(1)?.split_once('/')?;
    let is_public = matches!(kind, "foundation-model" | "inference-profile");
    let region = Some(region).filter(|region| !region.is_empty());
    (is_aws && is_bedrock && is_public).then_some((region, id))
}

/// Whether this is formed as `eu-central-1` and `us-gov-west-1` are.
fn is_aws_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let begins = parts.next().is_some_and(|part| part.len() == 2 && is_word(part));
    let ends = parts.next_back().is_some_and(|part| part.len() == 1 && is_number(part));
    begins && ends && matches!(parts.clone().count(), 1 | 2) && parts.all(is_word)
}

/// An id, then the id with less of its version, then with more of it.
///
/// A context length behind the version (`:200k`) stays: AWS sells such an id only as provisioned throughput, which
/// is billed by the hour.
fn bedrock_id<'n, T>(id: &str, region: Option<&'n str>, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    let short = id.strip_suffix(":0");
    seek(id, region)
        .or_else(|| match short {
            Some(short) => seek(short, region),
            None => longer(id, ":0", region, seek),
        })
        .or_else(|| bedrock_version(short.unwrap_or(id), region, seek))
}

/// A name without its version, or with the first one.
fn bedrock_version<'n, T>(
    name: &str,
    region: Option<&'n str>,
    seek: &mut Seek<'_, 'n, T>,
) -> Option<T> {
    let Some((stem, version)) = name.rsplit_once("-v").filter(|(_, version)| is_number(version))
    else {
        return longer(name, "-v1:0", region, seek).or_else(|| longer(name, "-v1", region, seek));
    };
    // Without its version a later LLM would be read as the first one, unless a date tells them apart.
    if version == "1" || split_date(stem).is_some() { seek(stem, region) } else { None }
}

/// A name with something behind it, unless it has a part behind a colon already.
fn longer<'n, T>(
    name: &str,
    more: &str,
    region: Option<&'n str>,
    seek: &mut Seek<'_, 'n, T>,
) -> Option<T> {
    if name.contains(':') { None } else { seek(&format!("{name}{more}"), region) }
}

/// Those whose LLMs Vertex AI serves under `publishers/`.
const PUBLISHERS: [&str; 13] = [
    "google",
    "anthropic",
    "meta",
    "mistralai",
    "ai21",
    "deepseek-ai",
    "qwen",
    "openai",
    "moonshotai",
    "minimaxai",
    "zai-org",
    "xai",
    "cohere",
];

fn vertex<'n, T>(name: &'n str, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    let (region, path) = vertex_location(name)?;
    if let Some(published) = path.strip_prefix("publishers/") {
        let (publisher, id) = published.split_once("/models/")?;
        return vertex_id(&format!("{publisher}/{id}"), region, seek)
            .or_else(|| vertex_id(id, region, seek));
    }
    vertex_id(path, region, seek).or_else(|| {
        let (_, id) = path.split_once('/').filter(|(head, _)| PUBLISHERS.contains(head))?;
        vertex_id(id, region, seek)
    })
}

/// The location that a path says, and the rest of it. A project's own LLMs and endpoints do not say what they are.
fn vertex_location(name: &str) -> Option<(Option<&str>, &str)> {
    let Some(path) = name.strip_prefix("projects/") else { return Some((None, name)) };
    let (_, path) = path.split_once("/locations/")?;
    let (location, path) = path.split_once('/')?;
    path.starts_with("publishers/").then_some((Some(location), path))
}

/// An id, then the id with its version written in another way.
fn vertex_id<'n, T>(id: &str, region: Option<&'n str>, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    if let Some(found) = seek(id, region) {
        return Some(found);
    }
    match id.split_once('@') {
        Some((stem, "default" | "latest" | "001")) => seek(stem, region),
        Some((stem, version)) if compact_date(version).is_some() => {
            seek(&format!("{stem}-{version}"), region)
        }
        Some(_) => None,
        None => match split_date(id) {
            Some((stem, _)) => seek(&format!("{stem}@{}", &id[stem.len() + 1..]), region),
            None => seek(&format!("{id}@default"), region),
        },
    }
}

fn azure<'n, T>(name: &'n str, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    azure_id(name, None, seek).or_else(|| {
        let (place, id) = name.split_once('/')?;
        let region = match place {
            "eu" | "us" | "apac" | "us-gov" | "global" => place,
            "global-standard" => "global",
            _ => return None,
        };
        azure_id(id, Some(region), seek)
    })
}

/// An id, then the id with or without the point that Azure leaves out of `gpt-3.5`.
fn azure_id<'n, T>(id: &str, region: Option<&'n str>, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    let pointed = || id.strip_prefix("gpt-35-").map(|rest| format!("gpt-3.5-{rest}"));
    let pointless = || id.strip_prefix("gpt-3.5-").map(|rest| format!("gpt-35-{rest}"));
    seek(id, region).or_else(|| seek(&pointed().or_else(pointless)?, region))
}

/// `:nitro`, `:floor` and `:exacto` are accepted behind any name and only order the hosts that may serve it; the
/// catalogue lists one price, the base's. All other variants (`:free`, `:batch`, `:beta`, `:extended`, `:thinking`)
/// are entries of the catalogue with prices of their own, and `:online` adds searches that are billed on top: they
/// are what the book says of them, or unknown.
fn open_router<'n, T>(name: &'n str, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    let plain = name.strip_prefix('~').unwrap_or(name);
    seek(plain, None).or_else(|| {
        let (base, variant) = plain.rsplit_once(':')?;
        if matches!(variant, "nitro" | "floor" | "exacto") { seek(base, None) } else { None }
    })
}

/// The short name and the long one. What stands behind `#` is a deployment that is billed by the second.
fn fireworks<'n, T>(name: &'n str, seek: &mut Seek<'_, 'n, T>) -> Option<T> {
    const MODELS: &str = "accounts/fireworks/models/";
    if let Some(short) = name.strip_prefix(MODELS) {
        return if short.contains('#') { None } else { seek(short, None) };
    }
    if name.contains(['/', '#']) {
        return None;
    }
    seek(&format!("{MODELS}{name}"), None)
        .or_else(|| seek(&format!("accounts/fireworks/routers/{name}"), None))
}

/// A name that ends in a date, as what stands before it and the date.
pub(crate) fn split_date(name: &str) -> Option<(&str, NaiveDate)> {
    let dashed = || {
        let (stem, date) = name.split_at_checked(name.len().checked_sub("-2026-01-31".len())?)?;
        let (year, rest) = date.strip_prefix('-')?.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let fits = year.len() == 4 && month.len() == 2;
        let parts = (number(year)?, number(month)?, number(day)?);
        Some((stem, fits.then(|| recent(parts)).flatten()?))
    };
    let compact = || {
        let (stem, date) = name.split_at_checked(name.len().checked_sub("-20260131".len())?)?;
        Some((stem, compact_date(date.strip_prefix(['-', '@'])?)?))
    };
    dashed().or_else(compact).filter(|(stem, _)| !stem.is_empty())
}

/// A date such as `20260131`.
fn compact_date(text: &str) -> Option<NaiveDate> {
    let number = number(text).filter(|_| text.len() == "20260131".len())?;
    recent((number / 10_000, number / 100 % 100, number % 100))
}

/// The date, if there is such a day and LLMs were sold on it.
fn recent((year, month, day): (u32, u32, u32)) -> Option<NaiveDate> {
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    (year >= 2020).then_some(date)
}

fn number(text: &str) -> Option<u32> {
    if is_number(text) { text.parse().ok() } else { None }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a pattern fits a name of this grammar: a `*` does not stand for what makes it another product.
pub(crate) fn fits_in(grammar: Grammar, pattern: &str, name: &str) -> bool {
    let marks: &[char] = match grammar {
        Grammar::OpenRouter => &[':', '@'],
        Grammar::Fireworks => &['#'],
        _ => &[],
    };
    marks.iter().all(|mark| pattern.contains(*mark) || !name.contains(*mark)) && fits(pattern, name)
}

/// Whether a pattern fits a name from its beginning to its end; `*` stands for any text.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = name.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
    let Some(mut inner) = inner else { return false };
    // A part is taken where it stands first: that leaves the most for those behind it, so none is tried twice.
    middle.split('*').all(|part| {
        let behind = inner.split_once(part).map(|(_, behind)| behind);
        inner = behind.unwrap_or_default();
        behind.is_some()
    })
}

/// How many characters of a pattern stand for themselves.
pub(crate) fn literals(pattern: &str) -> usize {
    pattern.chars().filter(|letter| *letter != '*').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_date(name: &str, stem: Option<&str>) {
        assert_eq!(split_date(name).map(|(stem, _)| stem), stem, "{name}");
    }

    #[test]
    fn dates_are_real_and_stand_at_the_end() {
        check_date("gpt-4o-2024-08-06", Some("gpt-4o"));
        check_date("claude-opus-4-5-20251101", Some("claude-opus-4-5"));
        check_date("claude-opus-4-5@20251101", Some("claude-opus-4-5"));
        check_date("gpt-4o-2024-13-06", None);
        check_date("gpt-4o-2024-02-30", None);
        check_date("gpt-4o-20240230", None);
        check_date("gpt-4o-1999-01-01", None);
        check_date("gpt-4o-2024-8-6", None);
        check_date("gpt-4o-202-408-06", None);
        check_date("gpt-4o-2024-+8-06", None);
        check_date("gpt-4o-+2024806", None);
        check_date("gpt-4o-2024-08-06-mini", None);
        check_date("-2024-08-06", None);
        check_date("ü2024-08-06", None);
        check_date("@20240806", None);
        check_date("gpt-4oü0240806", None);
    }

    #[test]
    fn the_base_of_a_fine_tuned_name() {
        assert_eq!(fine_tuned_base("ft:gpt-4o-2024-08-06:me:x:1"), Some("ft:gpt-4o-2024-08-06"));
        assert_eq!(fine_tuned_base("ft:gpt-4o-2024-08-06"), None);
        assert_eq!(fine_tuned_base("gpt-4o"), None);
    }

    #[test]
    fn regions_of_aws() {
        for region in ["eu-central-1", "us-gov-west-1", "ap-southeast-3"] {
            assert!(is_aws_region(region), "{region}");
        }
        for other in ["", "eu", "eu-1", "eu-central", "eu--1", "1-month-commitment", "a-b-c-d-1"] {
            assert!(!is_aws_region(other), "{other}");
        }
    }

    fn check_fit(pattern: &str, name: &str, expected: bool) {
        assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
    }

    #[test]
    fn a_pattern_fits_all_of_a_name_or_not() {
        check_fit("a*", "a", true);
        check_fit("a*", "abc", true);
        check_fit("a*", "ca", false);
        check_fit("a*c", "abc", true);
        check_fit("a*c", "abcd", false);
        check_fit("xy*yx", "xyx", false);
        check_fit("a*b*c", "axbxc", true);
        check_fit("a*b*c", "abbc", true);
        check_fit("a*b*b", "ab", false);
        check_fit("a**b", "ab", true);
        check_fit("abc", "abc", true);
        check_fit("abc", "abcd", false);
        check_fit(&"a*".repeat(2_000), &"a".repeat(1_999), false);
        check_fit(&"a*".repeat(2_000), &"a".repeat(100_000), true);
    }

    /// Tries every way to share out the name.
    fn fits_naively(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['*', pattern @ ..], name) => {
                (0..=name.len()).any(|skipped| fits_naively(pattern, &name[skipped..]))
            }
            ([wanted, pattern @ ..], [letter, name @ ..]) => {
                wanted == letter && fits_naively(pattern, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_in_the_naive_model(pattern in "[abü*]{0,8}", name in "[abü]{0,10}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(fits(&pattern, &name), fits_naively(&letters(&pattern), &letters(&name)));
        }
    }
}
