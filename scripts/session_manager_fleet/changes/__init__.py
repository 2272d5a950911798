"""A Terraform plan as a normalized change set with a fingerprint."""
