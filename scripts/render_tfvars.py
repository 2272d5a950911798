#!/usr/bin/env python3
"""Render the tfvars files of targets, like `rollout.py render`."""

import sys

from environment import explained

with explained():
    from session_manager_fleet.cli import render, run_alone

if __name__ == "__main__":
    sys.exit(run_alone(render, sys.argv[1:], "render_tfvars.py"))
