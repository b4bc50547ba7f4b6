"""Batches read in the background, so that a training step does not wait for its data."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count as counted

from discrete_ca.training.batches import Batch, Batches

Key = tuple[int, int, int]

_AHEAD = 2  # batches a worker reads ahead


def loader(
    batches: Batches,
    first_step: int = 0,
    index: int = 0,
    count: int = 1,
    workers: int = 0,
    accumulation: int = 1,
) -> Generator[Batch, None, None]:
    """The parts of one process, from a step on, without an end.

    The workers are threads: reading files, decoding pictures, indexing and arithmetic let go of the
    interpreter's lock, and threads share what they read, need nothing pickled and see the same data
    set. Since a batch depends on its step alone, what comes out does not depend on them. A stream
    is read by one worker, which keeps a block ahead. Close the iterator to end the workers; a
    function as a source is called from their threads.

    Args:
        batches: where the batches come from.
        first_step: the first step.
        index: the process, 0 .. count - 1.
        count: how many processes share each batch.
        workers: threads that read ahead; 0 reads each batch when it is asked for.
        accumulation: parts of a step that this process goes through one by one; they come in turn,
            ``index * accumulation + i`` of ``count * accumulation``.

    Example:
        >>> import torch
        >>> batches = Batches(torch.arange(8), 4, seed=0)
        >>> read = loader(batches, first_step=3, workers=1)
        >>> bool((next(read)[0] == batches(3)[0]).all())
        True
        >>> read.close()
    """
    keys = (
        (step, index * accumulation + i, count * accumulation)
        for step in counted(first_step)
        for i in range(accumulation)
    )
    if workers == 0:
        yield from (batches.part(*key) for key in keys)
        return
    pool = ThreadPoolExecutor(1 if batches.block else workers, thread_name_prefix="loader")
    try:
        if batches.block:
            yield from _block_ahead(batches, keys, pool)
        else:
            yield from _batches_ahead(batches, keys, pool, _AHEAD * workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches_ahead(
    batches: Batches, keys: Iterator[Key], pool: ThreadPoolExecutor, ahead: int
) -> Iterator[Batch]:
    begun: deque[Future[Batch]] = deque()
    for key in keys:
        begun.append(pool.submit(batches.part, *key))
        if len(begun) > ahead:
            yield begun.popleft().result()


def _block_ahead(
    batches: Batches, keys: Iterator[Key], pool: ThreadPoolExecutor
) -> Iterator[Batch]:
    """Batches are taken from the block in memory while the next block is read."""
    current = None
    for key in keys:
        batch = batches.part(*key)
        number = key[0] // batches.block
        if number != current:
            pool.submit(batches.read_block, number + 1)  # an error comes back where it is used
            current = number
        yield batch
