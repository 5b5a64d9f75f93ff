"""The fixtures of the end-to-end tests (tests/e2e/fixtures.py)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from fixtures import *  # noqa: E402,F401,F403
from fixtures import pytest_configure  # noqa: E402,F401
