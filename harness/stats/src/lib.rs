//! Pure, seeded statistics: permutation within blocks, intervals, multiplicity, verdicts.
