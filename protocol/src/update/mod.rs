//! What an envelope changes in a document.
