//! Kernel specification to kernel image: sources, series, configuration, sandboxed build, cache.
