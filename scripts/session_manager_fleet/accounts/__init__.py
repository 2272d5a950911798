"""The accounts of the organization: where they come from, and how they are found by name, unit or tag."""
