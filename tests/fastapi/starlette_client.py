"""Starlette's test client, which newcomers test with: it warns at its import that it wants another HTTP client."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["TestClient"]
