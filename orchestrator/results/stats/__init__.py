"""Statistics: intervals, paired tests, power, percentiles. Published formulas, each cited where it stands."""
