//! Does what a node decides: network, files, daemon, local API and command line.
