"""Laying results side by side: levels of an axis pair by pair, and runs stage by stage, also against other tools' result files."""
