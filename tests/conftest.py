"""The order of the tests: what takes long begins first, so that no worker is left with it at the end."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("full_size") is None)
