"""The parts of the user's file as classes, each with the documentation of its settings, and the types of their fields."""
