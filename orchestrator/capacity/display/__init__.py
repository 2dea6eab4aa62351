"""Load-test results as files, tables, plots and pages. Read `ladder_result.py` first."""
