"""The lowest package: one request to one instance, and the errors that it can raise."""
