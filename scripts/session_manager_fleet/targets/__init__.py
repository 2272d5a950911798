"""Targets (one account in one region): inventory, selection, tfvars, exceptions."""
