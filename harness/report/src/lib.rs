//! Terminal, markdown and JSON from one model.
