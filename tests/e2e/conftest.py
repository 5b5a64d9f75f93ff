"""The fixtures of the end-to-end tests are in fixtures.py, for tests/fault uses them as well."""
from fixtures import *  # noqa: F401,F403
from fixtures import pytest_configure  # noqa: F401
