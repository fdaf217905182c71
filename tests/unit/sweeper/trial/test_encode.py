"""Reading, computing and writing happen at the same time."""

from __future__ import annotations

import threading

import torch
from fake_dataset import FakeDataset

from desam_model.types import Embedding
from sweeper.store.embeddings.commits import Commit
from sweeper.trial.encode import blocks_of, encode_blocks

PATIENCE_S = 20.0


class Meeting:
    """Events by name that parts of the work wait for; who waits in vain is remembered."""

    def __init__(self) -> None:
        self.events: dict[str, threading.Event] = {}
        self.missed: list[str] = []

    def say(self, name: str) -> None:
        self.events.setdefault(name, threading.Event()).set()

    def wait(self, name: str) -> None:
        if not self.events.setdefault(name, threading.Event()).wait(PATIENCE_S):
            self.missed.append(name)


class MeetingDataset(FakeDataset):
    """Says which slices were read."""

    meeting: Meeting

    def image(self, index):
        self.meeting.say(f"read {index}")
        return super().image(index)


class MeetingEncoder(torch.nn.Module):
    """Ends a block only when the next one is being read."""

    def __init__(self, meeting: Meeting, n_blocks: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.meeting, self.n_blocks, self.done = meeting, n_blocks, 0

    def preprocess(self, images):
        return images.float()

    def encode(self, frames):
        self.meeting.say(f"encode {self.done}")
        if self.done + 1 < self.n_blocks:
            self.meeting.wait(f"read {2 * (self.done + 1)}")
        self.done += 1
        maps = torch.zeros(len(frames), 1, 1, 1)
        return Embedding(taps=(maps,), neck=maps)


class MeetingWriter:
    """Ends writing a block only when the next one is being computed."""

    precision = "float16"

    def __init__(self, meeting: Meeting, n_blocks: int) -> None:
        self.meeting, self.n_blocks = meeting, n_blocks

    def write(self, index, embedding):
        if index // 2 + 1 < self.n_blocks:
            self.meeting.wait(f"encode {index // 2 + 1}")
        return Commit(index, {})


def test_the_next_block_is_read_and_the_last_one_written_while_one_is_computed():
    meeting, n_blocks = Meeting(), 5
    dataset = MeetingDataset(per_case=5)
    dataset.meeting = meeting
    encoder, writer = MeetingEncoder(meeting, n_blocks), MeetingWriter(meeting, n_blocks)
    blocks = blocks_of(range(10), 10, 2)
    parts = encode_blocks(dataset, range(10), encoder, writer, blocks, 2)
    made = [commit.index for part in parts for commit in part]
    assert made == list(range(10))
    assert meeting.missed == []


def test_a_block_is_encoded_whole_and_only_what_it_lacks_is_written():
    assert blocks_of([1, 5, 6], n_slices=7, size=4) == [(range(4), [1]), (range(4, 7), [5, 6])]


class SizedEncoder(torch.nn.Module):
    """Its outputs depend on how many slices are encoded together, as those of a real one may."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def preprocess(self, images):
        return images.float()

    def encode(self, frames):
        maps = frames.flatten(1).mean(1)[:, None, None, None] + len(frames)
        return Embedding(taps=(maps,), neck=maps)


class KeepingWriter:
    precision = "float32"

    def __init__(self) -> None:
        self.written: dict[int, float] = {}

    def write(self, index, embedding):
        self.written[index] = embedding.neck.item()
        return Commit(index, {})


def test_the_last_block_is_encoded_at_the_size_of_the_others_and_written_once():
    dataset, writer = FakeDataset(per_case=7), KeepingWriter()
    blocks = blocks_of(range(7), 7, 4)
    parts = encode_blocks(dataset, range(7), SizedEncoder(), writer, blocks, 4)
    assert [commit.index for part in parts for commit in part] == list(range(7))
    expected = {i: float(torch.from_numpy(dataset.image(i)).float().mean()) + 4 for i in range(7)}
    assert writer.written == expected
