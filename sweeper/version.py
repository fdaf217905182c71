"""The version of this package, and of the packages that make its numbers."""

import platform
from importlib import metadata

__version__ = "0.2.0"

MAIN_PACKAGES = ("torch", "ray", "mlflow", "zarr", "monai", "segment-anything")
"""Packages whose versions are recorded with every result."""


def versions() -> dict[str, str]:
    """Version of Python and of the main packages, by name; `missing` for one that is not there."""
    found = {"python": platform.python_version()}
    for package in MAIN_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def version_text() -> str:
    """Two lines for people: this package, then the others."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"sweeper, version {__version__}\n{packages}"
