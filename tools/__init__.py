"""Developers' tools: packaging, module documentation, validation."""
