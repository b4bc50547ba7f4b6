"""Servers over tiny kernels."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import torch

from discrete_ca import CategoricalNoiseKernel, corruption, nn, server
from discrete_ca.runs import SavedRun

ADDRESS = "http://127.0.0.1"


def kernel(categories=2, shape=(6, 5), hold=0.6, width=8, **options):
    torch.manual_seed(0)
    net = nn.MLP(categories, categories, shape=shape, width=width, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return CategoricalNoiseKernel(net, corruption.Uniform(categories), hold=hold)


class Slow(nn.MLP):
    """A network that takes its time."""

    def forward(self, *given, **more):
        time.sleep(0.005)
        return super().forward(*given, **more)


def slow():
    return CategoricalNoiseKernel(Slow(2, 2, shape=(6, 5), width=8), corruption.Uniform(2))


def application(folder, categories=2, shape=(6, 5), tokenizer=None, about=None, **options):
    g = torch.Generator().manual_seed(0)
    examples = torch.randint(0, categories, (5, *shape), generator=g)
    made = options.pop("kernel", None) or kernel(categories, shape)
    run = SavedRun(made, shape, categories, about or {}, tokenizer)
    return server.application(run, "tiny", folder, **{"examples": examples, **options})


def events(response):
    """The server-sent events of an answer, as (name, values)."""
    found = []
    for block in response.text.split("\n\n")[:-1]:
        name, data = block.split("\n", 1)
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def made(response):
    """The nodes that a drawing made."""
    assert response.status_code == 200, response.text
    name, values = events(response)[-1]
    assert name == "made", values
    return values["nodes"]


@contextmanager
def listening(app):
    """A real server on a free port of this machine; its address."""
    import uvicorn

    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen(64)
        config = uvicorn.Config(
            app, log_level="warning", ws="none", timeout_graceful_shutdown=1, access_log=False
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            while not running.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join(timeout=10)
