"""`organization.yaml` as typed, layered settings that know where each value comes from."""
