"""The library behind `scripts/rollout.py`: one organization as data, one small Terraform state per target."""
