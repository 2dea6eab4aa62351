"""The wire format as pure functions: a request becomes a payload, bytes become an answer or an error. Both transports use it."""
