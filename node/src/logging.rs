//! What the node says of its doings: to standard error, never with a key or what people wrote.
//!
//! The filter comes from FOURWORD_LOG or the settings, in the syntax of `tracing` (for example
//! `info,fourword::swarm=debug`).

use tracing_subscriber::EnvFilter;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// Starts logging. Fails if the filter cannot be read; a second start changes nothing.
pub fn start(filter: &str, format: Format) -> Result<(), String> {
    let filter = read(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _ = match format {
        Format::Text => builder.with_ansi(colours).try_init(),
        Format::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Whether a filter can be read.
pub fn check(filter: &str) -> Result<(), String> {
    read(filter).map(drop)
}

fn read(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|e| format!("the log filter \"{filter}\" cannot be read ({e}); try \"info\" or \"debug\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert_eq!(check("info,fourword::api=debug"), Ok(()));
        assert!(check("fourword=loudest").unwrap_err().contains("loudest"));
    }
}
