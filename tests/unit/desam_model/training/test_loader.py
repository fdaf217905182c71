from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import pytest
import torch

from desam_model.training.loader import BufferPool, Loader, collate
from desam_model.types import Embedding, Slice


def make_slice(k: int, grid: int = 4, size: int = 8, image: bool = True) -> Slice:
    generator = torch.Generator().manual_seed(k)
    return Slice(
        case=f"case-{k}",
        domain="A-ISBI",
        structure="prostate",
        z=k,
        is_last_foreground=False,
        spacing_mm=(1.0, 1.0, 1.0),
        reference=torch.randint(0, 2, (size, size), dtype=torch.uint8, generator=generator),
        image=torch.full((1, size, size), k, dtype=torch.uint8) if image else None,
        embedding=Embedding(
            taps=tuple(torch.randn(6, grid, grid, generator=generator).half() for _ in range(3)),
            neck=torch.randn(5, grid, grid, generator=generator).half(),
        ),
    )


class Counting(Sequence[Slice]):
    """Slices that remember which were read, and may fail at one."""

    def __init__(self, n: int, *, grid: int = 4, fails_at: int | None = None) -> None:
        self.n, self.grid, self.fails_at = n, grid, fails_at
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, k):
        if k == self.fails_at:
            raise OSError("the disk is gone")
        self.read.append(k)
        return make_slice(k, self.grid)


BIG = 512  # 23 x 512 x 512 float32 values a slice: beyond the size that is made without a thread


def loader_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "loader"]


def test_collate_stacks_and_converts():
    slices = [make_slice(k) for k in range(3)]
    batch = collate(slices)
    assert batch.reference.shape == (3, 1, 8, 8)
    assert batch.reference.dtype == torch.float32
    assert torch.equal(batch.reference[1, 0], slices[1].reference.float())
    assert batch.image is not None
    assert torch.allclose(batch.image[2], torch.full((1, 8, 8), 2 / 255))
    assert batch.embedding is not None
    assert len(batch.embedding.taps) == 3
    assert batch.embedding.neck.dtype == torch.float32
    assert torch.equal(batch.embedding.taps[2][1], slices[1].embedding.taps[2].float())
    assert torch.equal(batch.embedding.neck[0], slices[0].embedding.neck.float())


def test_collate_refuses_no_slices_and_slices_that_differ():
    with pytest.raises(ValueError, match="at least one slice"):
        collate([])
    with pytest.raises(ValueError, match="different fields"):
        collate([make_slice(0), make_slice(1, image=False)])
    with pytest.raises(ValueError, match="must have the same shape"):
        collate([make_slice(0), make_slice(1, size=9)])


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("grid", [4, BIG])
def test_every_slice_comes_once_in_order_and_the_last_batch_is_short(prefetch, grid):
    slices = Counting(5, grid=grid)
    loader = Loader(slices, batch_size=2, prefetch=prefetch)
    images = [batch.image[:, 0, 0, 0] * 255 for batch in loader]
    assert [len(i) for i in images] == [2, 2, 1]
    assert torch.cat(images).round().int().tolist() == [0, 1, 2, 3, 4]
    assert len(loader) == 3


def test_the_order_is_the_generators_and_changes_every_epoch():
    def epochs(seed: int) -> list[list[list[int]]]:
        loader = Loader(
            Counting(20), batch_size=6, shuffle_generator=torch.Generator().manual_seed(seed)
        )
        return [loader.order(), loader.order()]

    assert epochs(1) == epochs(1)
    assert epochs(1) != epochs(2)
    first, second = epochs(1)
    assert first != second
    assert sorted(k for batch in first for k in batch) == list(range(20))


def test_an_error_while_reading_is_raised_where_the_batch_would_have_been():
    loader = Loader(Counting(6, grid=BIG, fails_at=4), batch_size=2)
    batches = iter(loader)
    next(batches)
    next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
    assert not loader_threads()


def test_leaving_early_ends_the_thread_and_no_more_than_prefetch_is_made_ahead():
    slices = Counting(40, grid=BIG)
    batches = iter(Loader(slices, batch_size=1, prefetch=2))
    next(batches)
    batches.close()
    assert not loader_threads()
    assert len(slices.read) <= 1 + 1 + 2 + 1  # asked for size, handed over, waiting, in the making


def test_an_empty_view_gives_no_batch():
    assert list(Loader([], batch_size=4)) == []


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="batch_size is 0"):
        Loader([make_slice(0)], batch_size=0)


def int8_slice(k: int) -> Slice:
    generator = torch.Generator().manual_seed(k)
    plain = make_slice(k)
    return dataclasses.replace(
        plain,
        embedding=Embedding(
            taps=tuple(
                torch.randint(-127, 128, (6, 4, 4), generator=generator).to(torch.int8)
                for _ in range(3)
            ),
            neck=torch.randint(-127, 128, (5, 4, 4), generator=generator).to(torch.int8),
            scales=(*torch.rand(3, 6, generator=generator), torch.rand(5, generator=generator)),
        ),
    )


@pytest.mark.parametrize("piece", [1, 64, 2**18])
def test_a_batch_of_int8_slices_is_whole_numbers_times_scales(monkeypatch, piece):
    monkeypatch.setattr("desam_model.training.loader._CHUNK_VALUES", piece)
    slices = [int8_slice(k) for k in range(3)]
    batch = collate(slices)
    stored = collate(slices, dtype=None)
    assert stored.embedding is not None
    assert stored.embedding.neck.dtype == torch.int8
    on_device = stored.embedding.to(dtype=torch.float32)
    for made in (batch.embedding, on_device):
        assert made is not None
        assert made.scales is None
        for k, s in enumerate(slices):
            whole = (*s.embedding.taps, s.embedding.neck)
            for got, want, scale in zip(
                (*made.taps, made.neck), whole, s.embedding.scales, strict=True
            ):
                assert torch.equal(got[k], want.float() * scale[:, None, None])


def test_memory_is_lent_again_only_when_no_view_of_it_is_left():
    pool = BufferPool()
    first = pool.empty((4, 300, 300), torch.float32)
    first.fill_(1.0)
    view = first[2, 1:].t()
    place = first.data_ptr()
    del first
    second = pool.empty((4, 300, 300), torch.float32)
    second.zero_()
    assert second.data_ptr() != place
    assert view.unique().item() == 1.0
    assert pool.idle_bytes == 0
    del view
    assert pool.idle_bytes == 4 * 300 * 300 * 4
    smaller = pool.empty((3, 300, 300), torch.float32)
    assert smaller.data_ptr() == place
    assert place % 64 == 0


def test_a_pool_that_lends_ever_larger_batches_does_not_keep_the_small_ones():
    pool = BufferPool()
    for n in range(1, 6):
        pool.empty((n, 2**20), torch.uint8)
        assert pool.idle_bytes == n * 2**20


def test_an_epoch_uses_the_same_memory_again_and_its_numbers_are_right():
    slices = Counting(8, grid=BIG)
    places = set()
    for k, batch in enumerate(Loader(slices, batch_size=1, prefetch=0)):
        places.add(batch.embedding.neck.data_ptr())
        assert torch.equal(batch.embedding.neck[0], make_slice(k, BIG).embedding.neck.float())
        del batch
    assert len(places) < 4
