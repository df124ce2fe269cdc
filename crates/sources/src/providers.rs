//! Which provider the tables mean by their many labels, and how it builds names.

use taximeter_models::Name;
use taximeter_pricing::{Grammar, Provider};

/// Id, other names, grammar, whether it makes LLMs of its own.
type Row = (&'static str, &'static [&'static str], Grammar, bool);

use Grammar::{Azure, Bedrock, Fireworks, Gemini, OpenAi, OpenRouter, Plain, Vertex};

/// The providers that go by several names, or whose names of LLMs follow a grammar. Any other label is a provider
/// of its own.
const KNOWN: &[Row] = &[
    ("openai", &["open_ai", "text-completion-openai"], OpenAi, true),
    ("anthropic", &["claude"], Plain, true),
    (
        "google",
        &[
            "gemini",
            "google_genai",
            "google-genai",
            "gcp.gemini",
            "gcp.gen_ai",
            "google-ai-studio",
            "google_ai_studio",
        ],
        Gemini,
        true,
    ),
    ("mistral", &["mistralai", "mistral_ai", "mistral-ai"], Plain, true),
    ("deepseek", &["deep-seek"], Plain, true),
    ("xai", &["x-ai", "x_ai", "x.ai", "grok"], Plain, true),
    ("cohere", &["cohere_chat"], Plain, true),
    ("perplexity", &["perplexity-ai", "perplexity_ai"], Plain, true),
    ("moonshotai", &["moonshot", "moonshot_ai", "moonshot-ai", "kimi"], Plain, true),
    ("zai", &["z-ai", "z.ai", "z_ai"], Plain, true),
    ("minimax", &["minimax_ai"], Plain, true),
    ("voyageai", &["voyage", "voyage_ai", "voyage-ai"], Plain, true),
    ("alibaba", &["dashscope", "alibaba_cloud", "alibaba-cloud", "qwen"], Plain, true),
    ("ai21", &[], Plain, true),
    ("meta", &["meta_ai"], Plain, true),
    ("inception", &["text-completion-inception"], Plain, true),
    ("xiaomi", &["xiaomi_mimo"], Plain, true),
    (
        "bedrock",
        &[
            "bedrock_converse",
            "aws",
            "aws.bedrock",
            "aws_bedrock",
            "amazon-bedrock",
            "amazon_bedrock",
        ],
        Bedrock,
        false,
    ),
    ("bedrock_mantle", &[], Bedrock, false),
    (
        "vertex_ai",
        &[
            "vertexai",
            "vertex",
            "vertex-ai",
            "gcp.vertex_ai",
            "google_vertexai",
            "google-vertex",
            "google_vertex",
            "vertex_ai-ai21_models",
            "vertex_ai-anthropic_models",
            "vertex_ai-deepseek_models",
            "vertex_ai-embedding-models",
            "vertex_ai-language-models",
            "vertex_ai-llama_models",
            "vertex_ai-minimax_models",
            "vertex_ai-mistral_models",
            "vertex_ai-moonshot_models",
            "vertex_ai-openai_models",
            "vertex_ai-qwen_models",
            "vertex_ai-text-models",
            "vertex_ai-video-models",
            "vertex_ai-image-models",
            "vertex_ai-vision-models",
            "vertex_ai-chat-models",
            "vertex_ai-code-text-models",
            "vertex_ai-code-chat-models",
            "vertex_ai-zai_models",
            "vertex_ai_beta",
        ],
        Vertex,
        false,
    ),
    (
        "azure",
        &["azure_openai", "azure-openai", "azure.ai.openai", "az.ai.openai", "azure_text"],
        Azure,
        false,
    ),
    (
        "azure_ai",
        &["azure-ai", "azure.ai.inference", "az.ai.inference", "azure_ai_foundry"],
        Azure,
        false,
    ),
    ("openrouter", &["open_router", "open-router"], OpenRouter, false),
    (
        "fireworks_ai",
        &["fireworks", "fireworks-ai", "fireworks_ai-embedding-models"],
        Fireworks,
        false,
    ),
    ("together_ai", &["together", "together-ai", "togetherai"], Plain, false),
    ("github_copilot", &["github-copilot", "copilot"], Plain, false),
    ("watsonx", &["ibm.watsonx.ai", "watsonx_ai"], Plain, false),
    ("groq", &[], Plain, false),
    ("cloudflare", &["cloudflare_workers_ai", "workers-ai"], Plain, false),
    ("vercel_ai_gateway", &["vercel", "vercel-ai-gateway"], Plain, false),
];

/// How the names of those LLMs begin that others resell under the same name.
const MAKES: [(&str, &[&str]); 7] = [
    ("anthropic", &["claude"]),
    ("deepseek", &["deepseek"]),
    ("openai", &["gpt-", "o1", "o3", "o4"]),
    ("google", &["gemini", "gemma"]),
    ("moonshotai", &["kimi", "moonshot"]),
    ("zai", &["glm"]),
    ("alibaba", &["qwen"]),
];

/// Servers on a machine of one's own, with their other names.
const LOCAL: &[(&str, &[&str])] = &[
    ("ollama", &["ollama_chat"]),
    ("vllm", &["hosted_vllm"]),
    ("llama.cpp", &["llamacpp", "llama_cpp", "llama-cpp", "llama-server"]),
    ("lmstudio", &["lm_studio", "lm-studio"]),
    ("localai", &["local-ai", "local_ai"]),
    ("llamafile", &[]),
    ("mlx", &["mlx-lm", "mlx_lm"]),
    ("sglang", &[]),
    ("tgi", &["text-generation-inference"]),
    ("koboldcpp", &[]),
    ("jan", &[]),
    ("gpt4all", &[]),
    ("local", &["localhost"]),
    ("lemonade", &[]),
];

/// The id of the provider that a table means by a label.
pub(crate) fn canonical(label: &str) -> String {
    let label = label.trim().to_ascii_lowercase();
    let named = |id: &str, aliases: &[&str]| id == label || aliases.contains(&label.as_str());
    let known = KNOWN.iter().find(|row| named(row.0, row.1)).map(|row| row.0);
    let local = || LOCAL.iter().find(|row| named(row.0, row.1)).map(|row| row.0);
    known.or_else(local).map_or(label.clone(), str::to_owned)
}

/// The description of a provider by its id.
pub(crate) fn describe(id: &str) -> Provider {
    let mut provider = Provider::named(id);
    if let Some((_, aliases, grammar, first_party)) = KNOWN.iter().find(|row| row.0 == id) {
        provider.aliases = aliases.iter().copied().map(Name::from).collect();
        provider.grammar = *grammar;
        provider.first_party = *first_party;
    }
    if let Some((_, begin)) = MAKES.iter().find(|row| row.0 == id) {
        provider.makes = begin.iter().copied().map(Name::from).collect();
    }
    if let Some((_, aliases)) = LOCAL.iter().find(|row| row.0 == id) {
        provider.aliases = aliases.iter().copied().map(Name::from).collect();
        provider.is_local = true;
    }
    provider
}

/// The local servers, which a book knows whether or not a table names them.
pub(crate) fn local() -> impl Iterator<Item = Provider> {
    LOCAL.iter().map(|row| describe(row.0))
}
