#!/usr/bin/env python3
"""Roll Session Manager's configuration out to every account and region of an AWS Organization."""

from environment import explained

with explained():
    from session_manager_fleet.cli import main

if __name__ == "__main__":
    main()
