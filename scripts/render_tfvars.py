#!/usr/bin/env python3
"""Render the tfvars of every target: short for `rollout.py render`."""

import sys

from fleet.cli import run

if __name__ == "__main__":
    sys.exit(run([*sys.argv[1:3], "render", *sys.argv[3:]] if sys.argv[1:2] == ["-c"] else ["render", *sys.argv[1:]]))
