//! Fourword.
