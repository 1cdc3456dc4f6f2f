//! What runs on the machines, and pure parsers of what comes back.
