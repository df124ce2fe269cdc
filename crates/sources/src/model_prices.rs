//! Reads model_prices.
