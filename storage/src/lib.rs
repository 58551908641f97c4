//! Remembers what a node decides: journal, index, blobs and read model.
