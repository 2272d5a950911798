"""Keeps the preferences document of Session Manager as it is wanted, in one account and region."""
