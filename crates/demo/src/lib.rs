//! A real RAG application, metered, and a stand-in for the model that it asks.
