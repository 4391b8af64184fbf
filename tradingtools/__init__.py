"""Code that every process of the engine shares: vocabulary, contracts, doors and scaffolding."""
