"""Statistics: intervals, paired tests, power, percentiles, the knee of a curve. Published formulas, each cited where it stands."""
