//! Collectors around a workload: what to snapshot, and pure reducers to samples.
