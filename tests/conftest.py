"""One thread, a fixed, quiet hypothesis profile for every test, and a Hub without a network."""

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
settings.register_profile(
    "package",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("package")


@pytest.fixture
def hub(tmp_path_factory, monkeypatch):
    """A Hub without repositories, in place of the real one."""
    import huggingface_hub

    from tests.hub_double import Hub

    found = Hub(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr(huggingface_hub, "HfApi", found.api)
    return found
