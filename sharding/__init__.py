"""Who does what: task sets, prompt types, the sweep and its plan. Pure functions; nothing here sends or waits."""
