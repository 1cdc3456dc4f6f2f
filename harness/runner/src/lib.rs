//! Trials in seeded randomised blocks, with deadlines and progress as events.
