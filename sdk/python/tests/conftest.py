"""What the tests share. Those that take ``client`` need a server in $BRIG_API."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from brig import Client, Sandbox, set_default_client


@pytest.fixture(scope="session")
def template() -> str:
    return os.environ.get("BRIG_TEMPLATE", "python")


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    if not os.environ.get("BRIG_API"):
        if os.environ.get("BRIG_MUST_NOT_SKIP"):
            pytest.fail("BRIG_API names no server")
        pytest.skip("BRIG_API names no server: run 'brig serve'")
    with Client() as made:
        set_default_client(made)
        yield made
        set_default_client(None)


@pytest.fixture(scope="module")
def shared(client: Client, template: str) -> Iterator[Sandbox]:
    """One sandbox for the tests that leave it as it was."""
    with client.sandboxes.create(template, ttl_seconds=600) as made:
        yield made


@pytest.fixture
def sandbox(client: Client, template: str) -> Iterator[Sandbox]:
    with client.sandboxes.create(template, ttl_seconds=120) as made:
        yield made
