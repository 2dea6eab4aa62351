"""The formats on the wire, as pure functions: a request becomes a body, a body becomes an answer or the error that it is.

Read `refusals.py` first for what an error means. Nothing here opens a connection.
"""
