"""Statistics: intervals, paired tests, power, percentiles. Each published formula is cited at its definition."""
