"""Put the root module and the example organization into the package, so that an installed command finds them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = Path(__file__).parent


class BuildWithRootModule(build_py):
    """Copy what terraform reads to session_manager_fleet/root; an editable installation reads the checkout."""

    def run(self) -> None:
        """Build the packages, then add the folder."""
        super().run()
        if self.editable_mode:
            return
        root = Path(self.build_lib) / "session_manager_fleet" / "root"
        # What an earlier build left behind must not get into this one.
        shutil.rmtree(root, ignore_errors=True)
        unused = shutil.ignore_patterns(".terraform", "tests", "__pycache__", "*.md")
        shutil.copytree(PROJECT / "modules", root / "modules", ignore=unused)
        shutil.copytree(PROJECT / "examples" / "organization", root / "examples" / "organization", ignore=unused)
        for path in [*PROJECT.glob("*.tf"), PROJECT / ".terraform.lock.hcl"]:
            shutil.copy2(path, root)


setup(cmdclass={"build_py": BuildWithRootModule})
