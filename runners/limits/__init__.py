"""When a request may be sent: permits, the throttle gate, and the two limiters behind them."""
