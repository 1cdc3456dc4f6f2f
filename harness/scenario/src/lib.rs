//! Scenario, kernel and series files (YAML) to a checked, fully resolved plan.
