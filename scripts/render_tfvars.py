#!/usr/bin/env python3
"""Render the tfvars of every target: short for `rollout.py render`."""

import sys

from fleet.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("render", sys.argv[1:]))
