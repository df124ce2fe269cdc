//! Reads genai.
