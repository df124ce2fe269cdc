//! Provider, LLM, usage and moment in; exact cost out, or the reason why there is none.
