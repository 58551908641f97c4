//! Fourword as a whole, tested. Modules here serve several test files and the small programs.

pub mod roster_json;
