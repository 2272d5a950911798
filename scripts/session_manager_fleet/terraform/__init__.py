"""The only package that runs Terraform."""
