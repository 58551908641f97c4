//! Holds the place of the bench while it is written.

fn main() {}
