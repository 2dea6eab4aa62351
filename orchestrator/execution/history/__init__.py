"""What earlier executions of a run left behind, and how an execution ended."""
