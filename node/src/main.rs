//! The `fourword` program: all of it is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fourword::cli::main()
}
