//! Runs on disk: plan, samples and raw outputs, written as trials end.
