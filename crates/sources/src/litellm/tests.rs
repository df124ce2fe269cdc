//! LiteLLM's form, by small tables.
