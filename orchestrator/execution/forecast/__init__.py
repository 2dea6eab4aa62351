"""Forecasts of a sweep before it is run: an estimate of tokens and cost, and a rehearsal on a virtual clock."""
