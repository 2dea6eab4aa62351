"""What executes a stage: `local` runs every shard on one event loop."""
