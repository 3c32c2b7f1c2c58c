import pytest


@pytest.fixture
def serve(serve):
    """As ever, without a line a request: these tests ask for figures again and again."""
    return lambda store, *args, **more: serve(store, "--no-access-log", *args, **more)
