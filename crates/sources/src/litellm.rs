//! Reads litellm.
