//! The names of providers: one for each, out of those that the conventions use.

use std::borrow::Cow;

/// The name of a provider as `gen_ai.provider.name` has it. A name that is not known stays as it is.
pub(crate) fn provider_name(told: &str) -> Cow<'_, str> {
    // The AI SDK says `openai.chat`, `openai.responses`: the provider and its API. OpenTelemetry's own names have
    // points too.
    let of_opentelemetry = ["gcp.", "az.", "azure.", "aws.", "ibm."];
    let has_api = !of_opentelemetry.iter().any(|prefix| told.starts_with(prefix));
    let plain = if has_api { told.split('.').next().unwrap_or(told) } else { told };
    let has_capitals = plain.bytes().any(|byte| byte.is_ascii_uppercase());
    let folded =
        if has_capitals { Cow::Owned(plain.to_ascii_lowercase()) } else { Cow::Borrowed(plain) };
    let known = match &*folded {
        "az.ai.inference" => "azure.ai.inference",
        "az.ai.openai" | "azure" | "azure-openai" | "azure_openai" => "azure.ai.openai",
        "vertex_ai" | "google_vertex" | "vertexai" | "google-vertex" => "gcp.vertex_ai",
        "gemini" | "google" | "google-generative-ai" | "google_genai" => "gcp.gemini",
        "xai" => "x_ai",
        "mistralai" | "mistral" => "mistral_ai",
        "bedrock" | "aws" | "amazon-bedrock" | "aws_bedrock" => "aws.bedrock",
        "moonshot" | "moonshotai" => "moonshot_ai",
        "watsonx" => "ibm.watsonx.ai",
        _ => return folded,
    };
    Cow::Borrowed(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases() {
        for (told, name) in [
            ("openai.chat", "openai"),
            ("OpenAI", "openai"),
            ("openai", "openai"),
            ("az.ai.openai", "azure.ai.openai"),
            ("gcp.vertex_ai", "gcp.vertex_ai"),
            ("google", "gcp.gemini"),
            ("AWS", "aws.bedrock"),
            ("amazon-bedrock", "aws.bedrock"),
            ("my_own", "my_own"),
        ] {
            assert_eq!(provider_name(told), name, "{told}");
        }
    }
}
