"""Load tests: how much load an endpoint carries, how it is measured, and which limit binds."""
