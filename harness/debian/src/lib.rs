//! Debian packages, resolved, fetched and unpacked without root or the host's apt state.
