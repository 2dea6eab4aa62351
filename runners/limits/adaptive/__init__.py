"""Limits that are learned while sending."""
